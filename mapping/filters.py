"""The filters of entries on every page: words, hashtag, hypernym, status, SUN group, disagreement."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import CharField, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from formats.names import normalize_hashtag, normalize_name
from mapping import doubts
from mapping.lexicon.domains import domain_names, domains_of
from mapping.lexicon.senses import likeliest_sense
from mapping.lexicon.wordnet import WordNetMissing
from mapping.models import OTHER, MappingEntry, Opinion, Release, ReleaseLabel, SceneClass

TODO = "todo"
DOUBTED = "doubted"
MOST_WORDS = 20  # of a search; each adds conditions, of which SQLite takes a thousand


class EntryFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="by_words", label=_("Search"))
    status = django_filters.ChoiceFilter(
        method="by_status",
        choices=[
            (TODO, _("To do")),
            *((s.value, s.label) for s in MappingEntry.Status),
            (DOUBTED, _("Doubted by people")),
        ],
        label=_("Status"),
        empty_label=_("Any status"),
    )
    hashtag = django_filters.CharFilter(
        method="by_hashtag", label=_("Hashtag"), widget=forms.TextInput(attrs={"list": "hashtag-names"})
    )
    hypernym = django_filters.CharFilter(method="by_hypernym", label=_("Hypernym"))
    group = django_filters.ChoiceFilter(
        method="by_group", choices=lambda: _groups(), label=_("SUN group"), empty_label=_("Any group")
    )
    domain = django_filters.ChoiceFilter(
        method="by_domain",
        choices=lambda: [(name, _words(name)) for name in domain_names()],
        label=_("WordNet domain"),
        empty_label=_("Any domain"),
    )
    differs = django_filters.ChoiceFilter(
        method="by_difference", choices=lambda: _states(), label=_("Differs from"), empty_label="–"
    )

    class Meta:
        model = MappingEntry
        fields: list[str] = []

    def __init__(self, *args: Any, blind: bool = False, **kwargs: Any) -> None:
        """blind: leave out the filters that would reveal what others answered."""
        super().__init__(*args, **kwargs)
        self.blind = blind
        if blind:
            del self.filters["differs"]
        if not domain_names():
            del self.filters["domain"]

    def by_words(self, entries: QuerySet[MappingEntry], name: str, words: str) -> QuerySet[MappingEntry]:
        for word in normalize_name(words).split()[:MOST_WORDS]:
            entries = entries.filter(
                Q(scene_class__key__icontains=word)
                | Q(scene_class__name__icontains=word)
                | Q(scene_class__name_ru__icontains=word)
                | Q(scene_class__name_ru__contains=word.lower())  # SQLite ignores case for ASCII letters only
                | Q(synset__icontains=word)
                | Q(hypernym__icontains=word)
                | Q(hashtag__name__icontains=word.lstrip("#"))
                | Q(note__icontains=word)
            )
        return entries

    def by_status(self, entries: QuerySet[MappingEntry], name: str, status: str) -> QuerySet[MappingEntry]:
        if status == TODO:
            return entries.exclude(status=MappingEntry.Status.CONFIRMED)
        if status == DOUBTED:
            return entries if self.blind else doubts.filter_doubted(entries)
        return entries.filter(status=status)

    def by_hashtag(self, entries: QuerySet[MappingEntry], _name: str, name: str) -> QuerySet[MappingEntry]:
        name = normalize_hashtag(name)
        if name == OTHER:
            return entries.filter(hashtag=None).exclude(status=MappingEntry.Status.UNDECIDED)
        return entries.filter(hashtag__name=name)

    def by_hypernym(self, entries: QuerySet[MappingEntry], name: str, notion: str) -> QuerySet[MappingEntry]:
        return entries.filter(Q(hypernym__iexact=notion.strip()) | Q(hypernym_sense=notion.strip()))

    def by_group(self, entries: QuerySet[MappingEntry], name: str, group: str) -> QuerySet[MappingEntry]:
        return entries.filter(Q(scene_class__level1=group) | Q(scene_class__level2=group))

    def by_domain(self, entries: QuerySet[MappingEntry], name: str, domain: str) -> QuerySet[MappingEntry]:
        """Entries whose sense has the domain. If none is chosen yet, the likeliest sense counts."""
        chosen = entries.exclude(sense="").order_by().values_list("sense", flat=True).distinct()
        open_rows = entries.filter(sense="").exclude(status=MappingEntry.Status.CONFIRMED).order_by()
        names = ("scene_class__key", "scene_class__level1", "scene_class__level2")
        try:
            senses = [sense for sense in chosen if domain in domains_of(sense)]
            likely = [
                pk
                for pk, *name in open_rows.values_list("pk", *names)
                if domain in domains_of(likeliest_sense(*name))
            ]
        except WordNetMissing:
            return entries.none()
        return entries.filter(Q(sense__in=senses) | Q(pk__in=likely))

    def by_difference(self, entries: QuerySet[MappingEntry], name: str, state: str) -> QuerySet[MappingEntry]:
        """Entries with another label in a release or opinion. Skips classes without a label there."""
        kind, _, which = state.partition("-")
        if kind == "release":
            frozen = ReleaseLabel.objects.filter(
                release__number=which, scene_key=OuterRef("scene_class__key")
            )
            theirs = Subquery(frozen.values("label")[:1])
        else:
            answers = MappingEntry.everywhere.filter(
                opinion=int(which), scene_class=OuterRef("scene_class")
            ).exclude(status=MappingEntry.Status.UNDECIDED)
            theirs = Subquery(answers.values(label=_label())[:1])
        return (
            entries.exclude(status=MappingEntry.Status.UNDECIDED)
            .annotate(theirs=theirs, ours=_label())
            .exclude(theirs=None)
            .exclude(theirs=F("ours"))
        )


def _label() -> Coalesce:
    return Coalesce("hashtag__name", Value(OTHER), output_field=CharField())


def _groups() -> list[tuple[str, Any]]:
    """SUN's groups: the three wide ones, then the narrow groups of each."""
    rows = SceneClass.objects.order_by("level1", "level2").values_list("level1", "level2").distinct()
    wide_groups = list(dict.fromkeys(level1 for level1, _level2 in rows if level1))
    narrow_groups = [
        (level1, [(level2, _words(level2)) for above, level2 in rows if above == level1 and level2])
        for level1 in wide_groups
    ]
    return [(level1, gettext("%(group)s (all)") % {"group": _words(level1)}) for level1 in wide_groups] + [
        (_words(level1), choices) for level1, choices in narrow_groups if choices
    ]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _states() -> list[tuple[str, str]]:
    releases = Release.objects.order_by("-number").values_list("number", flat=True)[:20]
    opinions = Opinion.objects.values_list("pk", "name")
    return [
        (f"release-{number}", gettext("release %(number)s") % {"number": number}) for number in releases
    ] + [(f"opinion-{pk}", name) for pk, name in opinions]
