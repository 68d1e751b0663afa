"""Makes the finished shots of a run, or one picture, again and compares the pixels."""
