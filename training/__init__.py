"""From product photos to a LoRA: data sets, captions, buckets. Knows no command line."""
