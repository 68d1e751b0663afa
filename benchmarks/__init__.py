"""What the speed claims are measured against. Uses the libraries alone, nothing of `visuals`."""
