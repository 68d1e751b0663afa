"""How a run's shots pass through the stages where it is not this process that works on them."""
