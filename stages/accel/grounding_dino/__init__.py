"""CPU kernels and caches for Grounding DINO."""
