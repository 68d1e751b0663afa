"""The training loop: batches, optimizer, checkpoints, validation, log."""
