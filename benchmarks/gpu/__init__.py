"""Graphics cards: speed and memory measured on one, memory computed without one."""
