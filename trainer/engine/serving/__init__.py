"""Exported models: make one, ask it, measure it. Asking imports no torch."""
