"""Prompt syntax: LoRA tags, templates, emphasis, dynamic prompts, token chunks, embeddings."""
