"""Measures a network on held-out photos: metrics, calibration, the report."""
