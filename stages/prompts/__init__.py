"""Prompt syntax: LoRA tags, templates, emphasis, dynamic prompts, chunks, textual inversions."""
