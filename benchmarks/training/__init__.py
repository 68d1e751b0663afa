"""Training: the look that a LoRA learns, and the worth of caches."""
