"""Reads and writes pictures: color profiles, 16 bit, infotext, provenance, contact sheets."""
