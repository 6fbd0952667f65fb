"""Opinions: separate mappings made blind, how much they differ, and settling the differences."""
