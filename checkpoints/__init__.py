"""Models: the catalogue of names, downloads from the hub, file formats and loading."""
