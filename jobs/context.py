from __future__ import annotations

from django.http import HttpRequest

from jobs.models import Job, Worker


def worker_banner(request: HttpRequest) -> dict[str, object]:
    """Tells the base page whether jobs wait although no worker runs; the page then says how to start one."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}

    def is_missing() -> bool:
        if Worker.objects.live().exists():
            return False
        return Job.objects.live().exists()

    return {"no_worker": is_missing}
