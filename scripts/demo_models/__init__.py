"""Training of the small demo models on synthesised speech; never needed at run time."""
