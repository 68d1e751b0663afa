"""The run folder: manifest, files, locks, object stores."""
