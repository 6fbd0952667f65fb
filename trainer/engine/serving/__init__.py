"""Exports models, predicts with them and evaluates them. Prediction imports no torch."""
