"""The HTML report, and overlays of detections."""
