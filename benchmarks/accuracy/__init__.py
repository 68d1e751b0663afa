"""Accuracy: detection, masks, captions and pictures against what is known of them."""
