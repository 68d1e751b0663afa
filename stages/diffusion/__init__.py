"""Parts of stages 1 and 3 that run diffusion pipelines."""
