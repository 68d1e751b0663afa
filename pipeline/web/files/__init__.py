"""Files of the studio: uploads, run folders, LoRA library."""
