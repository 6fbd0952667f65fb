"""The home page's stations: the state of the pipeline, and a sensible next action for each role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Q
from django.urls import reverse

from jobs.models import Job
from mapping.models import MappingEntry, Release
from trainer.models import PhotoSet, Promotion, ScenePhoto, TrainingRun
from validation.agreement import results
from validation.models import Campaign, Photo

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


@dataclass
class Station:
    title: str
    figure: str
    words: str
    url: str = ""
    action: str = ""
    action_url: str = ""
    is_next: bool = False

    def offer(self, allowed: bool, action: str, url: str) -> Station:
        if allowed:
            self.action, self.action_url = action, url
        return self


def stations(user: User | AnonymousUser) -> list[Station]:
    """All six for those who may look; the one that most needs this person's hand is marked as next."""
    may = user.has_perm
    if not may("mapping.view_sceneclass"):
        return []
    line = [
        _mapping(may("mapping.change_mappingentry")),
        _photos(may("trainer.add_photoset")),
        _runs(may("trainer.add_trainingrun")),
        _model(may("trainer.add_promotion")),
        _campaigns(may("validation.add_campaign")),
        _agreement(),
    ]
    first = next((s for s in line if s.action), None)
    if first:
        first.is_next = True
    return line


def _mapping(curator: bool) -> Station:
    count = MappingEntry.objects.aggregate(
        classes=Count("pk"),
        decided=Count("pk", filter=~Q(status="undecided")),
        confirmed=Count("pk", filter=Q(status="confirmed")),
        tagged=Count("pk", filter=Q(hashtag__isnull=False)),
    )
    release = Release.objects.first()
    words = (
        f"{count['tagged']} carry a hashtag, the rest are other. {count['confirmed']} confirmed by a curator."
    )
    if release:
        words += f" Newest: release {release.number}."
    station = Station(
        "Classes mapped", f"{count['decided']} of {count['classes']}", words, reverse("mapping:entries")
    )
    left = count["classes"] - count["decided"]
    if left:
        return station.offer(curator, f"Map the {left} left", station.url + "?status=undecided")
    return station.offer(curator, "View the mapping", station.url)


def _photos(admin: bool) -> Station:
    photos, sets = ScenePhoto.objects.count(), PhotoSet.objects.count()
    url = reverse("trainer:photo_sets")
    words = f"in {sets} photo set{'' if sets == 1 else 's'}, sorted by scene class, for training."
    if not sets:
        words = "There is no photo set yet. Register a folder or a tar with one folder per scene class."
    return Station("Photos", f"{photos:,}", words, url).offer(admin and not sets, "Register photos", url)


def _runs(admin: bool) -> Station:
    url = reverse("trainer:runs")
    runs = TrainingRun.objects.count()
    live = TrainingRun.objects.filter(job__state__in=Job.LIVE).count()
    best = TrainingRun.objects.filter(job__state=Job.State.SUCCEEDED).order_by("-balanced_accuracy").first()
    words = f"{live} running now. " if live else ""
    if best and best.balanced_accuracy is not None:
        words += f"Best balanced accuracy {best.balanced_accuracy:.3f}, by “{best.name}”."
    elif not runs:
        words += "Nothing trained here yet."
    return Station("Training runs", f"{runs}", words or "None has finished yet.", url).offer(
        admin and not live, "Start a run", reverse("trainer:new_run")
    )


def _model(admin: bool) -> Station:
    url = reverse("trainer:models")
    promotion = Promotion.objects.current()
    if promotion is None:
        return Station("Active model", "none", "Suggestions start once a model is promoted.", url).offer(
            admin, "Promote a model", url
        )
    words = f"Promoted {promotion.promoted_at:%-d %b %Y}. It suggests a hashtag, or stays silent."
    return Station("Active model", promotion.model.name, words, url).offer(
        admin, "Try it on a photo", reverse("trainer:suggest")
    )


def _campaigns(admin: bool) -> Station:
    url = reverse("validation:campaigns")
    open_ones, photos = Campaign.objects.real().filter(is_open=True).count(), Photo.objects.real().count()
    words = f"open, {photos:,} new photos taken in." if open_ones else "No campaign is open."
    return Station("Campaigns", f"{open_ones}", words, url).offer(
        admin and not open_ones, "Ask people", reverse("validation:new_campaign")
    )


def _agreement() -> Station:
    url = reverse("validation:agreement")
    people, headline = results.people(None), results.headline()
    if headline is None:
        return Station("Agreement", "–", "Nobody has voted yet.", url)
    rate = headline.rate
    left_out = (
        f" Left out: {_percent(headline.unjudged)} of the suggestions, of a kind nobody has answered about."
        if headline.unjudged >= 0.005
        else ""
    )
    words = (
        f"of {rate.n} photo{'' if rate.n == 1 else 's'} "
        f"(95 % interval {_percent(rate.low)} to {_percent(rate.high)}), "
        f"said by {people} {'person' if people == 1 else 'people'}.{left_out}"
    )
    return Station("Agreement", _percent(rate.value), words, url)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
