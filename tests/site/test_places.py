"""STORAGE_URL names a bucket for all kinds of shared files, or says what is wrong with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.management import call_command

from hashtags_site import places
from hashtags_site.places import KINDS, Place, read_place
from tests.conftest import RealBucket


def test_every_kind_has_a_prefix_of_its_own() -> None:
    place = read_place("s3://photos/a/b/?endpoint=http://minio:9000/&region=eu-1")
    assert place == Place("photos", "a/b", "http://minio:9000", "eu-1")
    rows = place.storages(link_seconds=60)
    assert set(rows) == set(KINDS)
    assert {row["OPTIONS"]["location"] for row in rows.values()} == {f"a/b/{x}" for x in KINDS.values()}
    assert place.origins == ["http://minio:9000"]
    assert read_place("s3://photos").origins == ["https://photos.s3.amazonaws.com"]
    assert read_place("s3://photos").storages(link_seconds=0)["default"]["OPTIONS"]["location"] == "media"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/var/photos", "it must be like s3://"),
        ("s3://key:secret@photos", "keys do not belong in it"),
        ("s3://P", "“P” cannot be the name"),
        ("s3://photos?bucket=x", "“bucket”, but only endpoint"),
        ("s3://photos?endpoint=minio:9000", "endpoint must be like https"),
        ("s3://photos?endpoint=http://key:secret@minio", "without a path and keys"),
    ],
)
def test_what_is_wrong_with_it_is_said_without_its_secrets(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        read_place(url)
    assert "secret" not in str(error.value)


def test_settings_refuse_a_wrong_url_and_allow_pictures_from_links(tmp_path: Path) -> None:
    program = "from hashtags_site.settings import *; print(CONTENT_SECURITY_POLICY['DIRECTIVES']['img-src'])"
    base = os.environ | {"DJANGO_SETTINGS_MODULE": "hashtags_site.settings", "METRICS_DIR": str(tmp_path)}
    base |= {"SCENETAG_VAR": str(tmp_path), "STORAGE_LINK_SECONDS": "60"}

    def start(url: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, env=base | {"STORAGE_URL": url}, capture_output=True, text=True, check=False
        )

    assert "STORAGE_URL: it must be like" in start("x").stderr
    assert "'https://s3.example.org'" in start("s3://photos?endpoint=https://s3.example.org").stdout


def test_missing_package_is_named_by_check_and_doctor(
    bucket: RealBucket, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    assert not [one for one in run_checks() if "boto3" in one.msg]
    monkeypatch.setattr(places, "find_spec", lambda name: None)
    found = [one for one in run_checks() if "boto3" in one.msg]
    assert found[0].hint == "Run: pip install -r requirements-s3.txt"
    assert "not installed" in storage_finding()["fact"]


def test_doctor_asks_the_bucket(bucket: RealBucket, db: None) -> None:
    assert storage_finding()["verdict"] == "ok"
    bucket.client.delete_bucket(Bucket=bucket.name)
    finding = storage_finding()
    assert (finding["verdict"], bucket.name in finding["fact"]) == ("fail", True)


def storage_finding() -> dict[str, str]:
    out = StringIO()
    with suppress(SystemExit):  # another part may have failed
        call_command("doctor", "--json", stdout=out)
    findings = json.loads(out.getvalue())["findings"]
    return next(one for one in findings if one["part"] == "storage")
