"""Pages about suggestions in use."""
