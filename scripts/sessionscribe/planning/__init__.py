"""What each session needs, what of it is there, what is to be made."""
