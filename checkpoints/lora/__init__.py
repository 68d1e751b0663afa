"""LoRA files: reading, metadata, search by name."""
