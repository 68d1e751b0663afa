"""The version of visuals, which setup.cfg reads too."""

VERSION = "0.1.0"
