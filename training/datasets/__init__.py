"""Training sets: folders, captions, buckets, sampling."""
