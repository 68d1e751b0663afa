"""The JSON API of the studio."""
