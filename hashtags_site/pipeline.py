"""The home page's stations: the state of the pipeline, and a sensible next action for each role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count, Q
from django.template.defaultfilters import floatformat
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

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
    words = _("%(tagged)s carry a hashtag, the rest are other. %(confirmed)s confirmed by a curator.") % count
    if release:
        words += " " + _("Newest: release %(number)s.") % {"number": release.number}
    figure = _("%(decided)s of %(classes)s") % count
    station = Station(_("Classes mapped"), figure, words, reverse("mapping:entries"))
    left = count["classes"] - count["decided"]
    if left:
        return station.offer(
            curator, _("Map the %(n)s left") % {"n": left}, station.url + "?status=undecided"
        )
    return station.offer(curator, _("View the mapping"), station.url)


def _photos(admin: bool) -> Station:
    photos, sets = ScenePhoto.objects.count(), PhotoSet.objects.count()
    url = reverse("trainer:photo_sets")
    words = ngettext(
        "in %(n)s photo set, sorted by scene class, for training.",
        "in %(n)s photo sets, sorted by scene class, for training.",
        sets,
    ) % {"n": sets}
    if not sets:
        words = _("There is no photo set yet. Register a folder or a tar with one folder per scene class.")
    station = Station(_("Photos"), intcomma(photos), words, url)
    return station.offer(admin and not sets, _("Register photos"), url)


def _runs(admin: bool) -> Station:
    url = reverse("trainer:runs")
    runs = TrainingRun.objects.count()
    live = TrainingRun.objects.filter(job__state__in=Job.LIVE).count()
    best = TrainingRun.objects.filter(job__state=Job.State.SUCCEEDED).order_by("-balanced_accuracy").first()
    words = _("%(n)s running now.") % {"n": live} + " " if live else ""
    if best and best.balanced_accuracy is not None:
        figure = floatformat(best.balanced_accuracy, 3)
        words += _("Best balanced accuracy %(figure)s, by “%(name)s”.") % {
            "figure": figure,
            "name": best.name,
        }
    elif not runs:
        words += _("Nothing trained here yet.")
    return Station(_("Training runs"), f"{runs}", words or _("None has finished yet."), url).offer(
        admin and not live, _("Start a run"), reverse("trainer:new_run")
    )


def _model(admin: bool) -> Station:
    url = reverse("trainer:models")
    promotion = Promotion.objects.current()
    if promotion is None:
        station = Station(_("Active model"), _("none"), _("Suggestions start once a model is promoted."), url)
        return station.offer(admin, _("Promote a model"), url)
    words = _("Promoted %(day)s. It suggests a hashtag, or stays silent.") % {
        "day": date_format(promotion.promoted_at, "j M Y")
    }
    return Station(_("Active model"), promotion.model.name, words, url).offer(
        admin, _("Try it on a photo"), reverse("trainer:suggest")
    )


def _campaigns(admin: bool) -> Station:
    url = reverse("validation:campaigns")
    open_ones, photos = Campaign.objects.real().filter(is_open=True).count(), Photo.objects.real().count()
    words = ngettext("open, %(n)s new photo taken in.", "open, %(n)s new photos taken in.", photos) % {
        "n": intcomma(photos)
    }
    if not open_ones:
        words = _("No campaign is open.")
    return Station(_("Campaigns"), f"{open_ones}", words, url).offer(
        admin and not open_ones, _("Ask people"), reverse("validation:new_campaign")
    )


def _agreement() -> Station:
    url = reverse("validation:agreement")
    people, headline = results.people(None), results.headline()
    if headline is None:
        return Station(_("Agreement"), "–", _("Nobody has voted yet."), url)
    rate = headline.rate
    photos = ngettext("of %(n)s photo", "of %(n)s photos", rate.n) % {"n": rate.n}
    interval = _("95 %% interval %(low)s to %(high)s") % {
        "low": _percent(rate.low),
        "high": _percent(rate.high),
    }
    voters = ngettext("said by %(n)s person.", "said by %(n)s people.", people) % {"n": people}
    words = f"{photos} ({interval}), {voters}"
    if headline.unjudged >= 0.005:
        left_out = _("Left out: %(share)s of the suggestions, of a kind nobody has answered about.")
        words += " " + left_out % {"share": _percent(headline.unjudged)}
    return Station(_("Agreement"), _percent(rate.value), words, url)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
