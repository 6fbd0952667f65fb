"""What was dropped together: photos, zips and a table. It is one source of an intake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

from django.core.files.base import File
from django.utils.translation import gettext as _

from jobs.lease import JobError
from validation.models import Intake, IntakeFile, Upload
from validation.photos.intake_sources import Archive, Listing, Source
from validation.photos.intake_table import TableError
from validation.photos.notes import Note
from validation.photos.store import PhotoRefused
from validation.photos.uploads import kind_of, open_upload


def table_in(drop: Sequence[Upload]) -> File[bytes] | None:
    """The table of a drop; None if it has none. Raises TableError if it has several."""
    tables = [upload for upload in drop if kind_of(upload.name) == "table"]
    if len(tables) > 1:
        names = ", ".join(f"“{upload.name}”" for upload in tables)
        raise TableError(_("Only one table can be taken in at once, not %(names)s.") % {"names": names})
    return File(open_upload(tables[0]), name="table.csv") if tables else None


class Drop(Source):
    """Photos under their own names, and the entries of zips. If there is more than one zip, or a zip and
    photos, an entry's name begins with that of its zip. A broken zip is refused as a file, and the rest comes
    in.
    """

    def __init__(self, intake: Intake) -> None:
        self.uploads = {upload.pk: upload for upload in intake.dropped.all()}
        self.archives: dict[int, Archive] = {}
        self.notes: list[Note] = []

    def names(self) -> Iterator[Listing]:
        sources = [one for one in self.uploads.values() if kind_of(one.name) != "table"]
        for upload in sources:
            if kind_of(upload.name) == "archive":
                yield from self._entries(upload, f"{upload.name}/" if len(sources) > 1 else "")
            else:
                yield upload.name, {"upload": upload.pk}

    def _entries(self, upload: Upload, prefix: str) -> Iterator[Listing]:
        try:
            archive = self._archive(upload)
        except JobError as error:
            yield upload.name, {"refused": str(error).rstrip(".")}
            return
        self.notes += [{**one, "file": upload.name} if prefix else one for one in archive.notes]
        for name, terms in archive.names():
            yield f"{prefix}{name}", {"upload": upload.pk, **terms}

    def open(self, file: IntakeFile) -> IO[bytes]:
        if reason := file.terms.get("refused"):
            raise PhotoRefused(file.name, reason)
        upload = self.uploads.get(file.terms["upload"])
        if upload is None:
            raise PhotoRefused(file.name, _("what was uploaded of it is gone"))
        return self._archive(upload).open(file) if "entry" in file.terms else open_upload(upload)

    def _archive(self, upload: Upload) -> Archive:
        if upload.pk not in self.archives:
            self.archives[upload.pk] = Archive(lambda: open_upload(upload))
        return self.archives[upload.pk]

    def close(self) -> None:
        for archive in self.archives.values():
            archive.close()
