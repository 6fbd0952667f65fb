"""The Celery application: `celery -A hashtags_site worker --pool threads`."""

import logging
import os
from typing import Any

from celery import Celery
from kombu.transport import redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hashtags_site.settings")
app = Celery("scenetag")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class ForgivingQoS(redis.QoS):
    """Acknowledges messages, and restores them when a connection closes, but only if the queue still exists.

    If Redis has died, kombu 5.7 raises an error, which ends the worker instead of letting it reconnect. No
    job is lost with the messages: the database has all jobs, and jobs.queue.resend_forgotten resends them.
    """

    def ack(self, delivery_tag: Any) -> None:
        try:
            super().ack(delivery_tag)
        except Exception:
            if not self.channel.closed:
                raise

    def restore_unacked_once(self, stderr: Any = None) -> None:
        try:
            super().restore_unacked_once(stderr)
        except Exception as error:
            logging.getLogger(__name__).warning("Messages were lost with the queue: %s", error)


redis.Channel.QoS = ForgivingQoS
