"""Import this first where a benchmark needs Django but no site."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hashtags_site.settings")
django.setup()
