"""What people write about a run: its name, notes and tags."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from formats.names import lower_name
from formats.texts import Text
from jobs.models import Job, texts
from people.deeds import record
from trainer.models import RunTag, TrainingRun

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

MOST = 10  # tags of a run
LONGEST = 30  # characters of a tag
OFFERED = 20  # tags in use, the commonest first


class BadTag(Exception):
    """A tag that cannot be used, or too many of them; the message says which and why."""


class NotesChanged(Exception):
    """Somebody has changed the name, the notes or the tags since the person saw them."""


def read_tags(text: str) -> list[str]:
    """The tags in a text, divided by commas or spaces: in lower case, without #, each once. Raises BadTag."""
    typed = (lower_name(word).lstrip("#") for word in re.split(r"[,;\s]+", text.replace("\0", "")))
    tags = sorted({word for word in typed if word})
    for tag in tags:
        if len(tag) > LONGEST:
            words = _("“%(tag)s…” is too long: a tag has at most %(most)s characters.")
            raise BadTag(words % {"tag": tag[:LONGEST], "most": LONGEST})
    if len(tags) > MOST:
        words = _("These are %(count)s tags; a run has at most %(most)s.")
        raise BadTag(words % {"count": len(tags), "most": MOST})
    return tags


def tags_in_use(most: int = OFFERED) -> list[str]:
    """Tags of runs, the commonest first."""
    counts = RunTag.objects.order_by().values("name").annotate(n=Count("pk")).order_by("-n", "name")
    return list(counts.values_list("name", flat=True)[:most])


def digest(run: TrainingRun) -> str:
    """Identifies what is written about the run now."""
    return _digest(run.name, run.notes, (tag.name for tag in run.tags.all()))


def _digest(name: str, notes: str, tags: Iterable[str]) -> str:
    return hashlib.sha256(repr((name, notes, sorted(tags))).encode()).hexdigest()[:16]


@transaction.atomic
def describe_run(
    *, run: TrainingRun, name: str, notes: str, tags: list[str], seen: str, by: AbstractBaseUser | None
) -> bool:
    """Change what is written about the run; returns False if nothing changes, as at a repeated click.

    `seen` is the digest of what the person saw. Raises NotesChanged.
    """
    locked = TrainingRun.objects.select_for_update().only("name", "notes", "job_id").get(pk=run.pk)
    now = digest(locked)
    if now == _digest(name, notes, tags):
        return False
    if now != seen:
        raise NotesChanged
    renamed = f"“{locked.name}”, now “{name}”" if locked.name != name else f"“{name}”"
    locked.name, locked.notes = name, notes
    locked.save(update_fields=["name", "notes"])
    locked.tags.all().delete()
    RunTag.objects.bulk_create(RunTag(run=locked, name=tag) for tag in tags)
    Job.objects.filter(pk=locked.job_id).update(**texts(title=job_title(name)))
    record(by=by, what="describe run", about=renamed)
    return True


def job_title(name: str) -> Text:
    """Of the job that trains the run of this name."""
    return Text("Train “%(name)s”", name=name)
