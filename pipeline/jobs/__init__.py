"""What can be asked for: run, replay, grid, threshold sweep."""
