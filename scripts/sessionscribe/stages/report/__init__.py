"""The pages of `sessionscribe report`."""
