"""The training loop, its budgets and its state on disk."""
