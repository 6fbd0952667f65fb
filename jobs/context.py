from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone

from jobs.models import WORKER_SILENCE, Job, Worker


def worker_banner(request: HttpRequest) -> dict[str, object]:
    """Tells the base page whether jobs wait although no worker runs; the page then says how to start one."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}

    def is_missing() -> bool:
        if Worker.objects.filter(seen_at__gte=timezone.now() - WORKER_SILENCE).exists():
            return False
        return Job.objects.live().exists()

    return {"no_worker": is_missing}
