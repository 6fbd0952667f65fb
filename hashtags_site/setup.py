"""The first start: what an empty installation is called, and what is loaded into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from formats.texts import Text, joined_texts, text_of
from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.queue import enqueue
from mapping.files.catalogue import load_catalogue
from mapping.models import Hashtag, SceneClass
from people import installation
from people.deeds import record
from people.models import Installation
from trainer.registry.starter import CASCADE, install_starters
from validation.campaigns.questions import make_missing_questions

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

JOB = "site.load"
SUN397, EMPTY, NONE = "sun397", "empty", "none"
MAPPINGS = {
    SUN397: _("SUN397’s 397 scene classes with a mapping to 20 hashtags"),
    EMPTY: _("nothing: I import my own classes and hashtags"),
}
STARTERS = {
    "accurate": _("the accurate one, on CLIP ViT-B/16; without its weights the fast one"),
    "fast": _("the fast one, on EfficientNet-Lite2"),
    CASCADE: _("both as one: the fast one answers where it is sure"),
    NONE: _("none: I train or import my own"),
}


def is_pending() -> bool:
    """Whether somebody still has to say what is loaded here: nothing is, and nobody has."""
    return not Installation.objects.exists() and not SceneClass.objects.exists()


def load(warn: Callable[[str], object]) -> Iterator[str]:
    """Load what was chosen, or everything if nobody chose. Yields a line for each thing that is here now.

    Safe to repeat. Raises CatalogueError and, if no starter can be installed, RuntimeError.
    """
    chosen = Installation.objects.first()
    if chosen is None or chosen.mapping == SUN397:
        load_catalogue()
        classes, hashtags = SceneClass.objects.count(), Hashtag.objects.count()
        yield Text(
            "The catalogue is loaded. Scene classes: %(classes)s, hashtags: %(hashtags)s.",
            classes=classes,
            hashtags=hashtags,
        )
    if chosen is None or chosen.starter != NONE:
        models = install_starters(warn=warn, wanted=chosen.starter if chosen else settings.STARTER)
        for model in models:
            yield Text("Model: %(model)s", model=model.name)
        if not models:
            warn(Text("No starter model: the weights of no backbone are here."))
    make_missing_questions()


def load_as_job(lease: Lease) -> None:
    """The job "site.load"."""
    problems: list[str] = []
    lease.beat(message=Text("Loading"))
    try:
        with lease.long_step():
            for line in load(problems.append):
                lease.beat(message=line)
    except RuntimeError as error:
        hint = Text("The mapping is loaded. Import or train a model, or retry.")
        raise JobError(text_of(error), hint) from error
    lease.beat(message=joined_texts(*problems, by="; ") or Text("Everything is loaded."))


@transaction.atomic
def save(
    *, name: str, time_zone: str, language: str, mapping: str, starter: str, by: AbstractBaseUser
) -> Job | None:
    """Save the site's name, time zone and language; the first time also what is loaded, by the job that is
    returned. Later, mapping and starter stay as they are."""
    own = {"name": name, "time_zone": time_zone, "language": language}
    was_pending = is_pending()
    # Before there was this page, everything was loaded.
    first = (
        {"mapping": mapping, "starter": starter}
        if was_pending
        else {"mapping": SUN397, "starter": settings.STARTER}
    )
    Installation.objects.update_or_create(pk=1, defaults=own, create_defaults=own | first)
    record(by=by, what="set up the site", about=", ".join(filter(None, own.values())))
    site = installation.Site(name or installation.NAME, time_zone, language)
    transaction.on_commit(lambda: installation.remember(site))
    if not was_pending or (mapping, starter) == (EMPTY, NONE):
        return None
    return enqueue(kind=JOB, title=Text("Load what was chosen at the first start"), by=by)
