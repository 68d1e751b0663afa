"""Original .pth files of Grounding DINO and SAM, as models of transformers, by renaming keys."""
