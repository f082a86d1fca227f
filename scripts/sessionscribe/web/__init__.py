"""The web page of `sessionscribe serve`: files are the state, pages are views of them."""
