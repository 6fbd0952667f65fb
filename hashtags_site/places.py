"""Where each kind of shared file lives: in a folder of this machine, or below a prefix of a bucket.

The setting STORAGE_URL decides for all kinds: s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-1.
Without it every kind is a folder in SCENETAG_VAR. With it, photos go straight to the bucket, and the folders
of the other kinds become this machine's copies of what the bucket has: trainer.shared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qs, urlsplit

# The name in settings.STORAGES → the folder in SCENETAG_VAR, and the prefix in the bucket.
KINDS = {
    "default": "media",  # uploads, and the photos of campaigns
    "photo_sets": "photo_sets",  # photos for training, and uploaded archives until they are unpacked
    "runs": "runs",  # checkpoints, weights and reports
    "models": "models",  # exported networks with their manifests
    "features": "features",  # of photos, by backbone and view
}
BACKEND = "hashtags_site.bucket.Bucket"
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
EXAMPLE = "s3://bucket/prefix?endpoint=https://s3.example.org"
INSTALL = "pip install -r requirements-s3.txt"
Storages = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Place:
    """endpoint: of a server other than Amazon's. region: as the server asks for it."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""

    def storages(self, *, link_seconds: int) -> Storages:
        """The entries of settings.STORAGES, one for each kind."""
        return {
            kind: {"BACKEND": BACKEND, "OPTIONS": self.options(folder, link_seconds=link_seconds)}
            for kind, folder in KINDS.items()
        }

    def options(self, folder: str = "", *, link_seconds: int = 0) -> dict[str, Any]:
        """Of a storage of BACKEND that lies at the prefix, or in a folder below it."""
        return {
            "bucket_name": self.bucket,
            "endpoint_url": self.endpoint or None,
            "region_name": self.region or None,
            "querystring_expire": link_seconds,
            "location": "/".join(filter(None, (self.prefix, folder))),
        }

    def overlaps(self, other: Place) -> bool:
        """Whether one of them lies inside the other, as far as their names tell."""
        if (self.bucket, self.endpoint) != (other.bucket, other.endpoint):
            return False
        mine, theirs = (f"{place.prefix}/".lstrip("/") for place in (self, other))
        return mine.startswith(theirs) or theirs.startswith(mine)

    @property
    def origins(self) -> list[str]:
        """Where signed links lead, for the Content-Security-Policy."""
        if self.endpoint:
            return [self.endpoint]
        hosts = ["s3.amazonaws.com", *([f"s3.{self.region}.amazonaws.com"] if self.region else [])]
        return [f"https://{self.bucket}.{host}" for host in hosts]


def read_place(url: str) -> Place:
    """The bucket that STORAGE_URL names. Raises ValueError, without any secret in its words."""
    parts = urlsplit(url)
    if parts.scheme != "s3":
        raise ValueError(f"it must be like {EXAMPLE}")
    if "@" in parts.netloc:
        raise ValueError("keys do not belong in it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not BUCKET_NAME.fullmatch(parts.netloc):
        raise ValueError(f"“{parts.netloc}” cannot be the name of a bucket")
    more = parse_qs(parts.query, keep_blank_values=True)
    if unknown := sorted(set(more) - {"endpoint", "region"}):
        raise ValueError(f"it has “{unknown[0]}”, but only endpoint and region are known")
    endpoint = more.get("endpoint", [""])[-1].rstrip("/")
    if endpoint and not re.fullmatch(r"https?://[^/@?#]+", endpoint):
        raise ValueError("its endpoint must be like https://s3.example.org, without a path and keys")
    return Place(parts.netloc, parts.path.strip("/"), endpoint, more.get("region", [""])[-1])


def lacks_package() -> bool:
    """Whether the package is missing that talks to buckets."""
    return find_spec("boto3") is None
