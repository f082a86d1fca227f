"""Results on remotes and beside recordings: found, adopted, uploaded; copies that are needed no more."""
