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
    """Acknowledges messages, and puts them back when a connection closes, if there still is a queue.

    kombu 5.7 raises where Redis has died, which ends the worker instead of letting it connect again. The
    messages are no loss: the database knows every job, and jobs.queue.resend_forgotten sends it again.
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
