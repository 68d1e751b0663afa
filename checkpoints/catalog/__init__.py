"""The catalogue of models by name: shipped entries and the user's own."""
