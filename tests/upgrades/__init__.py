"""Databases of older versions, taken through all migrations."""
