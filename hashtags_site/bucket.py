"""A bucket as one of Django's storages: django-storages, with patience and memory bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage

from formats.storage import StorageFailure
from formats.texts import Text

CONNECT_SECONDS, READ_SECONDS, TRIES = 3, 20, 2  # a request that waits for a bucket ends, with 503
MEMORY = 4 * 2**20  # bytes of an opened file; the rest of it is on disk


class Bucket(S3Storage):  # type: ignore[misc]
    def get_default_settings(self) -> dict[str, Any]:
        defaults: dict[str, Any] = super().get_default_settings()
        return defaults | {"max_memory_size": MEMORY, "signature_version": "s3v4"}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.client_config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            signature_version=self.signature_version,
            # A name in a closed network resolves to the server itself, not to bucket.server as Amazon's does.
            s3={"addressing_style": "path" if self.endpoint_url else "auto"},
            # Not every server knows Amazon's newer checksums. What must be whole has its SHA-256.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    def _open(self, name: str, mode: str = "rb") -> Any:
        """A file that is read is downloaded here: one that is deleted in the middle is missing, too."""
        try:
            file = super()._open(name, mode)
            if "r" in mode:
                file.open()
        except (FileNotFoundError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            self.require()
            raise FileNotFoundError(name) from error
        return file

    def walk(self, folder: str = "") -> Iterator[tuple[str, int, int]]:
        """Every file, or those in a folder: its name, its bytes, and when it was stored, in nanoseconds."""
        place = f"{self.location}/" if self.location else ""
        for one in self.bucket.objects.filter(Prefix=f"{place}{folder}/" if folder else place):
            yield one.key.removeprefix(place), one.size, int(one.last_modified.timestamp() * 10**9)

    def require(self) -> None:
        """Raise StorageFailure if the bucket is gone: then nothing is known of its files."""
        try:
            self.connection.meta.client.head_bucket(Bucket=self.bucket_name)
        except ClientError as error:
            raise StorageFailure(
                Text("the bucket %(name)s does not answer (%(error)s)", name=self.bucket_name, error=error)
            ) from error
