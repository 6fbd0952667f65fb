"""Models: export, promote, serve, pack, import."""
