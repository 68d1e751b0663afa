"""Models by name: which there are, where their files lie, how each is loaded."""
