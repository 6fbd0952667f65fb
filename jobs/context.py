from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone

from jobs.models import WORKER_SILENCE, Job, Worker


def worker_banner(request: HttpRequest) -> dict[str, object]:
    """Jobs wait and no worker has been heard of: the base page then says so, and how to start one."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}

    def needed() -> bool:
        if Worker.objects.filter(seen_at__gte=timezone.now() - WORKER_SILENCE).exists():
            return False
        return Job.objects.live().exists()

    return {"no_worker": needed}
