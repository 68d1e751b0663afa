"""A module for each family of diffusion models: what tells it from the others."""
