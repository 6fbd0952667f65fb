"""A request that meets a full disk is answered with what to do, not with a fault of the program."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings


@pytest.fixture
def client(client_for: Callable[..., Client], settings: Settings) -> Client:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    admin = client_for("admin")
    admin.raise_request_exception = False
    return admin


def send(client: Client, size: int) -> tuple[int, str]:
    form = {"name": "x", "tar": SimpleUploadedFile("a.tar", bytes(size))}
    page = client.post("/trainer/photo-sets/new/", form)
    return page.status_code, page.content.decode()


def test_upload_that_the_disk_has_no_room_for(client: Client) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**25, hard))  # more than the database has
    try:
        status, page = send(client, 2**25 + 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (status, "storage is full" in page) == (507, True)


def test_upload_without_a_place_for_it(client: Client, settings: Settings, tmp_path: Path) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "away"
    status, page = send(client, 100)
    assert (status, "files cannot be reached" in page) == (503, True)
