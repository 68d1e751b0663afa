"""The LoRA network: layers, names, metadata, saving."""
