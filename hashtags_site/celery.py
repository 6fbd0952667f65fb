"""The Celery application: `celery -A hashtags_site worker --pool threads`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hashtags_site.settings")
app = Celery("scenetag")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
