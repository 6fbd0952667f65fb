"""Does a model answer now as it did on the photos that it was judged on? If not: what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from django.db.models import Count, F, IntegerField, Sum
from django.db.models.functions import Cast, Floor, Least
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from mapping.hashtags import blocked_names
from serving import counting
from serving.models import AnswerTally
from serving.shift import Moved, Shift, moved, shift
from trainer.models import TrainedModel
from validation.models import Campaign, Prediction

Counts = Counter[str]


@dataclass(frozen=True)
class Judged:
    """What a model said about the photos that it was judged on. `words` name them."""

    words: str
    answers: Counts  # hashtag, or empty for silence
    confidences: Counts = field(default_factory=Counter)
    pixels: Counts = field(default_factory=Counter)


@dataclass(frozen=True)
class Line:
    """Shares of one answer. `hashtag` is empty for silence."""

    hashtag: str
    now: float
    judged: float | None


@dataclass(frozen=True)
class Drift:
    answers: int  # in the period
    silent: float  # share of them
    lines: list[Line]
    judged: Judged | None
    warnings: list[str]


def read_drift(*, model: TrainedModel, since: date) -> Drift | None:
    """None if the model has answered nothing in the period."""
    now = _counts(model, since)
    total = now[counting.ANSWER].total()
    if not total:
        return None
    judged = last_campaign(model) or held_out(model)
    return Drift(
        answers=total,
        silent=now[counting.ANSWER][""] / total,
        lines=_lines(now[counting.ANSWER], judged),
        judged=judged,
        warnings=_warnings(now, judged) if judged else [],
    )


def _counts(model: TrainedModel, since: date) -> dict[str, Counts]:
    counts: dict[str, Counts] = {
        figure: Counter() for figure in (counting.ANSWER, counting.CONFIDENCE, counting.PIXELS)
    }
    rows = AnswerTally.objects.filter(model=model, day__gte=since, figure__in=counts).order_by()
    for figure, name, n in rows.values_list("figure", "bin").annotate(n=Sum("count")):
        counts[figure][name] = n
    return counts


def last_campaign(model: TrainedModel) -> Judged | None:
    """The photos of the newest campaign whose predictions are there."""
    for campaign in Campaign.objects.real().predicted().filter(model=model).order_by("-pk")[:5]:
        predictions = Prediction.objects.of(campaign).order_by()
        answers: Counts = Counter()
        rows = predictions.values_list("hashtag__name", "hashtag__blocked")
        for name, is_blocked, n in rows.annotate(n=Count("pk")):
            answers["" if name is None or is_blocked else name] += n
        if not answers:
            continue
        tenths = predictions.filter(confidence__isnull=False).annotate(
            tenth=Cast(Least(Floor(F("confidence") * 10), 9.0), IntegerField())
        )
        confidences = {str(tenth): n for tenth, n in tenths.values_list("tenth").annotate(n=Count("pk"))}
        pixels: Counts = Counter()
        for width, height, n in predictions.values_list("photo__width", "photo__height").annotate(
            n=Count("pk")
        ):
            pixels[counting.size_bin(width, height)] += n
        words = _("the photos of the campaign “%(campaign)s”") % {"campaign": campaign}
        return Judged(words, answers, Counter(confidences), pixels)
    return None


def held_out(model: TrainedModel) -> Judged | None:
    """The photos that were held out from its training, as its export judged them: calibrated, at thresholds
    that these photos did not choose. Their confidences are not kept, so only the answers are compared.
    """
    figures = model.manifest.get("held_out") or {}
    blocked = blocked_names()
    rows = [row for row in figures.get("per_hashtag", []) if row["hashtag"] not in blocked]
    answers: Counts = Counter({row["hashtag"]: row["suggested"] for row in rows})
    answers[""] = figures.get("photos", 0) - answers.total()
    return Judged(_("the photos held out from its training"), answers) if rows and answers.total() else None


def _lines(now: Counts, judged: Judged | None) -> list[Line]:
    total, before = now.total(), judged.answers.total() if judged else 0
    names = sorted({*now, *(judged.answers if judged else ())}, key=lambda name: (-now[name], name))
    return [
        Line(name, now[name] / total, judged.answers[name] / before if judged and before else None)
        for name in names
    ]


def _ask() -> str:
    return _("Ask people about new photos in a campaign; if they disagree, train another run.")


def _warnings(now: dict[str, Counts], judged: Judged) -> list[str]:
    words = [_about_answer(one, judged) for one in moved(judged.answers, now[counting.ANSWER])]
    confidences = shift(judged.confidences, now[counting.CONFIDENCE])
    if confidences and confidences.is_large:
        text = _("The model's confidences are not those that it had on %(photos)s (PSI %(psi)s).")
        words.append(f"{text % _facts(judged, confidences)} {_ask()}")
    pixels = shift(judged.pixels, now[counting.PIXELS])
    if pixels and pixels.is_large:
        text = _(
            "Photos have other sizes than %(photos)s (PSI %(psi)s). Check that the network sends photos as "
            "people upload them, or ask people about photos of these sizes in a campaign."
        )
        words.append(text % _facts(judged, pixels))
    return words


def _facts(judged: Judged, found: Shift) -> dict[str, str]:
    return {"photos": judged.words, "psi": number_format(f"{found.psi:.2f}")}


def _about_answer(one: Moved, judged: Judged) -> str:
    is_more = one.times > 1
    facts = {
        "name": one.bin,
        "photos": judged.words,
        "after": _percent(one.after),
        "before": _percent(one.before),
        "times": number_format(f"{one.times if is_more else 1 / one.times:.1f}") if one.times else "",
    }
    if not one.bin and is_more:
        words = _(
            "The model is silent more often than on %(photos)s: "
            "%(after)s instead of %(before)s of the photos."
        )
    elif not one.bin:
        words = _(
            "The model is silent less often than on %(photos)s: "
            "%(after)s instead of %(before)s of the photos."
        )
    elif one.before == 0:
        words = _("#%(name)s is suggested for %(after)s of the photos, and was not on %(photos)s.")
    elif one.after == 0:
        words = _("#%(name)s is not suggested any more; it was for %(before)s of %(photos)s.")
    elif is_more:
        words = _(
            "#%(name)s is suggested %(times)s times more often than on %(photos)s: "
            "%(after)s instead of %(before)s."
        )
    else:
        words = _(
            "#%(name)s is suggested %(times)s times less often than on %(photos)s: "
            "%(after)s instead of %(before)s."
        )
    return f"{words % facts} {_ask()}"


def _percent(share: float) -> str:
    # As text, because number_format does not round a float: it cuts it off.
    return number_format(f"{100 * share:.{1 if share < 0.1 else 0}f}") + "\N{NO-BREAK SPACE}%"
