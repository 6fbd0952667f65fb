"""Reads from the page's address which runs the list shows, and in which order."""

from __future__ import annotations

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from formats.numbers import read_number
from jobs.models import Job
from mapping.models import Release
from trainer.engine.presets import PRESETS
from trainer.models import PhotoSet, RunTag, TrainingRun
from trainer.runs.notes import tags_in_use

SORTS = {
    "newest": _("Newest first"),
    "balanced": _("Balanced accuracy"),
    "accuracy": _("Accuracy"),
    "time": _("Shortest first"),
}
STATES = {
    "live": _("in progress"),
    "succeeded": _("succeeded"),
    "failed": _("failed"),
    "cancelled": _("cancelled"),
}


class RunFilter:
    """The filter and order in the address; invalid values are ignored."""

    def __init__(self, query: QueryDict) -> None:
        self.state = query.get("state", "") if query.get("state") in STATES else ""
        self.preset = query.get("preset", "") if query.get("preset") in PRESETS else ""
        self.photo_set = read_number(query.get("photo_set"))
        self.release = read_number(query.get("release"))
        self.tag = query.get("tag", "").replace("\0", "")[:30]
        self.q = query.get("q", "").strip()[:100]
        self.sort = query.get("sort", "") if query.get("sort") in SORTS else "newest"

    @property
    def is_on(self) -> bool:
        return bool(self.state or self.preset or self.photo_set or self.release or self.tag or self.q)

    def rows(self, runs: QuerySet[TrainingRun]) -> QuerySet[TrainingRun]:
        if self.state:
            runs = runs.filter(job__state__in=Job.LIVE if self.state == "live" else [self.state])
        if self.preset:
            runs = runs.filter(preset=self.preset)
        if self.photo_set:
            runs = runs.filter(photo_set=self.photo_set)
        if self.release:
            runs = runs.filter(release=self.release)
        if self.tag:
            runs = runs.filter(tags__name=self.tag)
        if self.q:
            tags = RunTag.objects.filter(run=OuterRef("pk"), name__icontains=self.q.lstrip("#"))
            runs = runs.filter(Q(name__icontains=self.q) | Exists(tags))
        if self.sort == "newest":
            return runs.order_by("-created_at", "-pk")
        if self.sort == "time":
            duration = F("job__finished_at") - F("job__started_at")
            return runs.order_by(duration.asc(nulls_last=True), "-pk")
        field = "balanced_accuracy" if self.sort == "balanced" else "accuracy"
        return runs.order_by(F(field).desc(nulls_last=True), "-pk")

    # --- what a person can choose from

    @cached_property
    def tags(self) -> list[str]:
        """The tags in use, and the chosen one."""
        return sorted({*tags_in_use(100), *([self.tag] if self.tag else [])})

    @property
    def photo_sets(self) -> list[tuple[int, str]]:
        return list(PhotoSet.objects.values_list("pk", "name"))

    @property
    def releases(self) -> list[tuple[int, int]]:
        return list(Release.objects.values_list("pk", "number"))

    @property
    def presets(self) -> list[tuple[str, str]]:
        return [(preset.name, str(_(preset.title))) for preset in PRESETS.values()]

    sorts, states = SORTS, STATES
