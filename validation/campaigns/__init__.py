"""Campaigns: their rules, predictions, questions and counts."""
