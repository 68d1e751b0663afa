"""Stage 1 on Replicate, over HTTP."""
