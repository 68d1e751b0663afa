"""The Compare tab: grids of settings."""
