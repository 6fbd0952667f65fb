"""What gunicorn serves: `gunicorn hashtags_site.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hashtags_site.settings")
application = get_wsgi_application()
