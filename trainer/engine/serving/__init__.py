"""Exported models: export, predict, evaluate. Prediction imports no torch."""
