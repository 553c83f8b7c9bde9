"""Training: the step, epochs, checkpoints, resuming, the run folder."""
