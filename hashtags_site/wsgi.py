"""What gunicorn serves: `gunicorn hashtags_site.wsgi`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hashtags_site.settings")
django.setup(set_prefix=False)

from hashtags_site.gate import Handler  # noqa: E402  # it needs the settings

application = Handler()
