"""One search over everything that has a name, by kind, as far as the person may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Case, Model, Q, QuerySet, When
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from mapping.models import Hashtag, MappingEntry
from trainer.models import TrainedModel, TrainingRun
from validation.models import Campaign, Photo

FEW = 8  # of each kind: who looks for more opens the kind's own list
LONGEST, MOST_WORDS = 100, 6  # of what is searched for


@dataclass(frozen=True)
class Found:
    words: str
    more: str  # what tells it from others of the same name
    url: str


@dataclass(frozen=True)
class Kind:
    title: str
    permission: str
    rows: Callable[[], QuerySet[Any]]
    fields: tuple[str, ...]  # the first is its name: what begins with the words comes first
    show: Callable[[Any], Found]
    all_url: Callable[[str], str] | None  # the kind's list with this search; None if it has no field for it


@dataclass(frozen=True)
class Group:
    title: str
    found: list[Found]
    more_url: str  # empty unless there are more


def _list_of(name: str) -> Callable[[str], str]:
    return lambda words: f"{reverse(name)}?{urlencode({'q': words})}"


def _show_class(entry: MappingEntry) -> Found:
    label = f"#{entry.hashtag.name}" if entry.hashtag else entry.label or _("undecided")
    return Found(
        entry.scene_class.title,
        f"{entry.scene_class.key}, {label}",
        reverse("mapping:entry", args=[entry.pk]),
    )


def _show_hashtag(tag: Hashtag) -> Found:
    url = f"{reverse('mapping:entries')}?{urlencode({'hashtag': tag.name})}"
    return Found(f"#{tag.name}", _("blocked") if tag.blocked else _posts(tag), url)


def _posts(tag: Hashtag) -> str:
    return _("%(n)s million posts") % {"n": tag.posts_millions}


def _show_named(row: Any) -> Found:
    return Found(row.name, f"{row.created_at:%Y-%m-%d}", row.get_absolute_url())


def _show_run(run: TrainingRun) -> Found:
    words = [f"{run.created_at:%Y-%m-%d}", *(tag.name for tag in run.tags.all())]
    return Found(run.name, ", ".join(words), run.get_absolute_url())


def _show_photo(photo: Photo) -> Found:
    return Found(photo.name, photo.author, reverse("validation:photo_page", args=[photo.pk]))


KINDS = (
    Kind(
        gettext_noop("Scene classes"),
        "mapping.view_sceneclass",
        lambda: MappingEntry.objects.filter(opinion=None).select_related("scene_class", "hashtag"),
        ("scene_class__name", "scene_class__key", "scene_class__name_ru"),
        _show_class,
        _list_of("mapping:entries"),
    ),
    Kind(
        gettext_noop("Hashtags"),
        "mapping.view_sceneclass",
        Hashtag.objects.all,
        ("name",),
        _show_hashtag,
        _list_of("mapping:hashtags"),
    ),
    Kind(
        gettext_noop("Runs"),
        "trainer.view_trainingrun",
        lambda: TrainingRun.objects.only("name", "created_at").prefetch_related("tags").distinct(),
        ("name", "tags__name"),
        _show_run,
        _list_of("trainer:runs"),
    ),
    Kind(
        gettext_noop("Models"),
        "trainer.view_trainedmodel",
        lambda: TrainedModel.objects.only("name", "created_at"),
        ("name",),
        _show_named,
        None,
    ),
    Kind(
        gettext_noop("Campaigns"),
        "validation.view_campaign",
        lambda: Campaign.objects.real().only("name", "created_at"),
        ("name",),
        _show_named,
        None,
    ),
    Kind(
        gettext_noop("Photos"),
        "validation.view_vote",  # voters see photos, but not their pages
        lambda: Photo.objects.shown().real().only("name", "author"),
        ("name", "author"),
        _show_photo,
        None,
    ),
)


def search(words: str, person: User | AnonymousUser) -> list[Group]:
    """What holds all the words, a group per kind in which anything does, at most FEW of each."""
    words = clean(words)
    if not words:
        return []
    groups = (_group(kind, words) for kind in KINDS if person.has_perm(kind.permission))
    return [group for group in groups if group.found]


def clean(words: str) -> str:
    """Without what no name has: a leading # and characters that PostgreSQL refuses."""
    return " ".join(words.replace("\0", " ")[:LONGEST].split()[:MOST_WORDS]).lstrip("#")


def _group(kind: Kind, words: str) -> Group:
    rows = kind.rows()
    for word in words.split():
        rows = rows.filter(_any(Q((f"{field}__icontains", word)) for field in kind.fields))
    begins = Case(When(**{f"{kind.fields[0]}__istartswith": words}, then=0), default=1)
    found: list[Model] = list(rows.order_by(begins, kind.fields[0], "pk")[: FEW + 1])
    more_url = kind.all_url(words) if kind.all_url and len(found) > FEW else ""
    return Group(kind.title, [kind.show(row) for row in found[:FEW]], more_url)


def _any(conditions: Iterable[Q]) -> Q:
    whole = Q()
    for condition in conditions:
        whole |= condition
    return whole
