"""LoRA training: data sets, captions, training loop."""
