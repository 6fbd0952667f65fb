"""One run: epochs, schedule, stopper, checkpoints, lock, TensorBoard."""
