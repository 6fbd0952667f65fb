"""Models: exported, promoted, served, downloaded and imported."""
