"""Clients of the API, a file each, to be copied into other projects."""
