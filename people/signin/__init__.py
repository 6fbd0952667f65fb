"""Signing in: django-allauth behind pages of our own. What it asks a site to decide is in `adapters`."""
