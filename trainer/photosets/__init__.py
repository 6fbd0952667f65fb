"""Registers photo sets: photos sorted by scene class, in a folder or a tar."""
