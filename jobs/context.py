from django.http import HttpRequest


def worker_banner(request: HttpRequest) -> dict[str, object]:
    return {}
