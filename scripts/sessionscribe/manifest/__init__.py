"""Which sessions there are: found, probed and kept in the manifest."""
