"""The files that stages hand to one another, a module for each thing that they are about."""
