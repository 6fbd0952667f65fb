"""Measurements, each with the command that gives it: python -m benchmarks.NAME."""

import os

# The mapping's modules mark their words for translation when they are imported, and that reads the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hashtags_site.settings")
