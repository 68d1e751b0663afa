"""Models of a training: each family's encoders, times, targets and predictions."""
