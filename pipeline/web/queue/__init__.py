"""The studio's job queue and its worker process."""
