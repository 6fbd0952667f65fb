"""Mappings made blind beside the mapping: who differs, how much, and settling it."""
