"""Trains one run: epochs, schedule, stopper, checkpoints, lock, TensorBoard."""
