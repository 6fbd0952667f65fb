"""How the mapping's list is narrowed: by words, hashtag, status and SUN group."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Q, QuerySet

from mapping.models import OTHER, Hashtag, MappingEntry, SceneClass


class EntryFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="by_words", label="Search")
    hashtag = django_filters.ChoiceFilter(method="by_hashtag", label="Hashtag", empty_label="Any hashtag")
    status = django_filters.ChoiceFilter(
        choices=MappingEntry.Status, label="Status", empty_label="Any status"
    )
    group = django_filters.ChoiceFilter(method="by_group", label="SUN group", empty_label="Any group")

    class Meta:
        model = MappingEntry
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Hashtag.objects.order_by("name").values_list("name", flat=True)
        self.filters["hashtag"].extra["choices"] = [(n, f"#{n}") for n in names] + [(OTHER, OTHER)]
        groups = SceneClass.objects.exclude(level2="").order_by("level2").values_list("level2", flat=True)
        self.filters["group"].extra["choices"] = [(g, g.replace("_", " ")) for g in groups.distinct()]

    def by_words(self, entries: QuerySet[MappingEntry], _: str, words: str) -> QuerySet[MappingEntry]:
        for word in words.split():
            entries = entries.filter(
                Q(scene_class__key__icontains=word)
                | Q(scene_class__name__icontains=word)
                | Q(scene_class__name_ru__icontains=word)
                | Q(scene_class__name_ru__contains=word.lower())  # SQLite folds the case of ASCII only
                | Q(synset__icontains=word)
                | Q(hypernym__icontains=word)
                | Q(hashtag__name__icontains=word.lstrip("#"))
                | Q(note__icontains=word)
            )
        return entries

    def by_hashtag(self, entries: QuerySet[MappingEntry], _: str, name: str) -> QuerySet[MappingEntry]:
        if name == OTHER:
            return entries.filter(hashtag=None).exclude(status=MappingEntry.Status.UNDECIDED)
        return entries.filter(hashtag__name=name)

    def by_group(self, entries: QuerySet[MappingEntry], _: str, group: str) -> QuerySet[MappingEntry]:
        return entries.filter(scene_class__level2=group)
