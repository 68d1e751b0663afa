"""The HTML report, contact sheets and overlays."""
