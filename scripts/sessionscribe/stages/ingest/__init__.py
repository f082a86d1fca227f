"""Is each source what the manifest says; remote ones are fetched."""
