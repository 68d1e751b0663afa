"""The training loop: batches, loss, optimizer, checkpoints, validation, log."""
