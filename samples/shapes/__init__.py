"""Signed distances of what the studio draws: solids, products of several shapes, other things."""
