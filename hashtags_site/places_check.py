"""`manage.py check` says that a package is missing, before the first photo does."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from hashtags_site.places import BACKEND, INSTALL, lacks_package


def find_package(**options: Any) -> list[CheckMessage]:
    if settings.STORAGES["default"]["BACKEND"] != BACKEND or not lacks_package():
        return []
    name = "STORAGE_URL" if settings.STORAGE_URL else "S3_BUCKET"
    return [Error(f"{name} asks for S3, but boto3 is not installed.", hint=f"Run: {INSTALL}")]
