"""The thresholds that a campaign's votes justify, and what they would change. Nothing is written here."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Count, Max, Min, Q
from django.utils.translation import gettext as _

from formats.names import normalize_name
from mapping.hashtags import blocked_names
from mapping.models import OTHER
from trainer.engine.evaluation.calibrate import NEVER
from trainer.engine.evaluation.promise import CONFIDENCE, Kind
from trainer.engine.serving.judge import judge
from trainer.registry.export import TARGET_PRECISION
from validation.agreement import answers, results, strata
from validation.models import Campaign, Prediction, Question, QuestionQuerySet
from validation.models.answers import VOTES_GIVEN
from validation.statistics import risk
from validation.statistics.people import between_people
from validation.statistics.risk import CrowdGroup, Drawn, Point

FEW_PEOPLE = 5  # with fewer, it cannot be seen how people differ
WAITING = Q(is_done=False, stream=Question.Stream.NONE, fits=0, does_not_fit=0, skips=0)


@dataclass(frozen=True)
class Wish:
    """What somebody wants to be promised."""

    target: float = TARGET_PRECISION
    kind: Kind = "overall"
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class HashtagRow:
    """What would change for one hashtag. Thresholds above 1 mean never."""

    hashtag: str
    now: float
    new: float
    suggestions_now: int  # among the campaign's photos
    suggestions_new: int
    judged: int  # photos of its even sample
    fitting: int  # of these
    needed: int | None  # more photos to judge before anything can be promised; None: none would do
    is_asked: bool = True  # False: it is blocked, or the campaign does not ask about it

    @property
    def falls_silent(self) -> bool:
        return self.new > 1 >= self.now

    @property
    def agreement(self) -> float | None:
        return self.fitting / self.judged if self.judged else None


@dataclass(frozen=True)
class Evidence:
    """What the votes of a campaign are: even samples, and who gave them until when."""

    hashtags: tuple[str, ...]  # that the campaign asks about
    present: dict[str, float]  # the thresholds of its model, for all hashtags
    suggested: Drawn
    silent: Drawn
    between: float
    people: int
    until: datetime | None
    unfinished: int  # judged photos with fewer answers than the campaign wants

    @property
    def is_of_few(self) -> bool:
        return self.people < FEW_PEOPLE


@dataclass(frozen=True)
class Proposal:
    """Thresholds from votes. `refusal`: why they cannot be taken over; empty if they can."""

    wish: Wish
    groups: tuple[CrowdGroup, ...]
    thresholds: dict[str, float]
    rows: list[HashtagRow]
    photos: int  # of the campaign
    judged: int  # photos behind the thresholds
    left_out: int  # judged photos that are no part of the even samples
    silent_judged: int  # silent suggestions in the even sample
    evidence: Evidence
    refusal: str
    digest: str  # identifies the model, the votes that matter and the outcome

    @property
    def coverage_now(self) -> float:
        return sum(row.suggestions_now for row in self.rows) / self.photos if self.photos else 0.0

    @property
    def coverage_new(self) -> float:
        return sum(row.suggestions_new for row in self.rows) / self.photos if self.photos else 0.0

    @property
    def agreement(self) -> float | None:
        """The share of the judged suggestions at or above the new thresholds that fit."""
        count = sum(group.suggestions for group in self.groups)
        return 1 - sum(group.wrong for group in self.groups) / count if count else None

    @property
    def falling_silent(self) -> list[HashtagRow]:
        return [row for row in self.rows if row.falls_silent]

    @property
    def lowered(self) -> list[HashtagRow]:
        return [row for row in self.rows if row.new < row.now]

    @property
    def unpromised(self) -> list[CrowdGroup]:
        return [group for group in self.groups if group.threshold is None]


def propose(*, campaign: Campaign, wish: Wish) -> Proposal:
    """The thresholds that the campaign's votes justify, in a constant number of queries."""
    evidence = read_evidence(campaign)
    groups = risk.choose(
        evidence.suggested,
        evidence.silent,
        evidence.hashtags,
        target=wish.target,
        kind=wish.kind,
        confidence=wish.confidence,
        between=evidence.between,
    )
    new = dict.fromkeys(evidence.present, NEVER) | risk.thresholds(
        groups, _asked_from(campaign, evidence.present)
    )
    photos, counts = _count_suggestions(campaign, evidence.present, new)
    rows = [_row(name, evidence, groups, new, counts) for name in sorted(evidence.present)]
    content = (campaign.model_id, wish, sorted(evidence.present.items()), sorted(new.items()), groups)
    return Proposal(
        wish=wish,
        groups=tuple(groups),
        thresholds=new,
        rows=rows,
        photos=photos,
        judged=sum(group.judged for group in groups),
        left_out=len(evidence.suggested.rank)
        - sum(len(evidence.suggested.among(group.hashtags)[0]) for group in groups),
        silent_judged=len(evidence.silent.among(evidence.hashtags)[0]),
        evidence=evidence,
        refusal=_refusal(campaign, groups),
        digest=hashlib.sha256(repr(content).encode()).hexdigest()[:32],
    )


def curve(*, evidence: Evidence, hashtag: str, wish: Wish) -> list[Point]:
    """The risk-coverage curve of one hashtag, or of all that the campaign asks about."""
    sample = evidence.suggested.among([hashtag] if hashtag else evidence.hashtags)
    return risk.curve(*sample, level=1 - wish.confidence, between=evidence.between)


def read_evidence(campaign: Campaign) -> Evidence:
    manifest, blocked = campaign.predictor.manifest, blocked_names()
    limits = {normalize_name(name): float(value) for name, value in manifest.get("thresholds", {}).items()}
    labels = [normalize_name(name) for name in manifest.get("labels", limits)]
    present = {name: limits.get(name, NEVER) for name in labels if name != OTHER}
    chosen = set(campaign.hashtags.values_list("name", flat=True))
    asked = tuple(name for name in present if name not in blocked and (not chosen or name in chosen))
    rows = strata.count(campaign)
    sample = answers.read(campaign, rows)
    questions = strata.questions_of(campaign).offered()
    counted = questions.aggregate(
        until=Max("answered_at"),
        unfinished=Count("pk", filter=Q(is_done=False) & ~Q(fits=0, does_not_fit=0, skips=0)),
    )
    return Evidence(
        hashtags=asked,
        present=present,
        suggested=read_drawn(questions, asked),
        # Suggestions below the least confidence are not asked about, so nothing is known of them.
        silent=risk.NOBODY if campaign.min_confidence else _draw_silent(campaign, asked, blocked),
        between=between_people(sample.person, sample.stratum, sample.is_yes),
        people=results.people(campaign, rows),
        **counted,
    )


def read_drawn(
    questions: QuestionQuerySet, hashtags: Collection[str], photos: Collection[int] | None = None
) -> Drawn:
    """The questions with a counting vote. Those that were only handed out, or answered only by people whose
    votes are set aside, say nothing: it was chance that gave them to these people.
    """
    by_hashtag = questions.filter(hashtag__name__in=hashtags).order_by().values("hashtag__name")
    groups = list(by_hashtag.annotate(size=Count("pk"), edge=Min("rank", filter=WAITING)))
    fields = ("photo_id", "hashtag__name", "rank", "confidence", "fits", "does_not_fit")
    with_votes = questions.filter(hashtag__name__in=hashtags).annotate(n=VOTES_GIVEN).filter(n__gt=0)
    rows = [
        row for row in with_votes.order_by("rank").values_list(*fields) if photos is None or row[0] in photos
    ]
    return Drawn(
        hashtag=np.array([row[1] for row in rows], object),
        rank=np.array([row[2] for row in rows], float),
        confidence=np.array([row[3] or 0.0 for row in rows], float),
        right=np.array([row[4] > row[5] for row in rows], bool),
        sizes={row["hashtag__name"]: row["size"] for row in groups},
        edges={row["hashtag__name"]: row["edge"] for row in groups if row["edge"] is not None},
        photo=np.array([row[0] for row in rows], int),
    )


def _draw_silent(campaign: Campaign, hashtags: Collection[str], blocked: frozenset[str]) -> Drawn:
    """Silent suggestions that a lower threshold would make: the hashtag is the likeliest label of all."""
    questions = strata.questions_of(campaign, Question.Kind.SILENCE).offered()
    asked = dict(questions.order_by().values_list("photo_id", "hashtag__name"))
    silent = Prediction.objects.of(campaign).silent().filter(photo__in=questions.values("photo_id"))
    photos = {
        photo
        for photo, candidates in silent.order_by().values_list("photo_id", "candidates")
        if _likeliest(candidates, blocked)[0] == asked[photo]
    }
    return read_drawn(questions, hashtags, photos)


def _likeliest(candidates: Sequence[Any], blocked: frozenset[str]) -> tuple[str | None, float]:
    """The hashtag that a model without thresholds would suggest, and its probability."""
    ranking = [(str(name), float(p)) for name, p in candidates]
    if not ranking:
        return None, 0.0
    name, confidence, _ = judge(ranking, dict.fromkeys((one for one, _ in ranking), 0.0), blocked)
    return name, confidence


def _asked_from(campaign: Campaign, present: dict[str, float]) -> dict[str, float]:
    return {name: max(value, campaign.min_confidence) for name, value in present.items()}


def _count_suggestions(
    campaign: Campaign, now: dict[str, float], new: dict[str, float]
) -> tuple[int, dict[str, tuple[int, int]]]:
    """How many photos were predicted; by hashtag how many have it suggested now, and with new thresholds."""
    predictions = Prediction.objects.of(campaign).order_by()
    before, after = Counter[str](), Counter[str]()
    for name, confidence in predictions.suggested().values_list("hashtag__name", "confidence"):
        before[name] += 1
        is_kept = new.get(name, NEVER) <= now.get(name, NEVER)
        after[name] += is_kept or (confidence or 0.0) >= new[name]
    if any(new[name] < now[name] for name in now):
        blocked = blocked_names()
        for candidates in predictions.silent().values_list("candidates", flat=True):
            likeliest, confidence = _likeliest(candidates, blocked)
            if likeliest is not None and confidence >= new.get(likeliest, NEVER):
                after[likeliest] += 1
    return predictions.count(), {name: (before[name], after[name]) for name in {*before, *after}}


def _row(
    name: str,
    evidence: Evidence,
    groups: Sequence[CrowdGroup],
    new: dict[str, float],
    counts: dict[str, tuple[int, int]],
) -> HashtagRow:
    _, right = evidence.suggested.among([name])
    group = next((one for one in groups if name in one.hashtags), None)
    now, after = counts.get(name, (0, 0))
    return HashtagRow(
        hashtag=name,
        now=evidence.present[name],
        new=new[name],
        suggestions_now=now,
        suggestions_new=after,
        judged=len(right),
        fitting=int(right.sum()),
        needed=group.needed if group else None,
        is_asked=name in evidence.hashtags,
    )


def _refusal(campaign: Campaign, groups: Sequence[CrowdGroup]) -> str:
    if campaign.is_made_up:
        return _("These votes are made up: nothing can be promised by them.")
    if "cascade" in campaign.predictor.manifest:
        return _(
            "“%(predictor)s” is a cascade: each of its two networks has confidences of its own, and a "
            "higher threshold would send photos to the other network, about which nobody was asked."
        ) % {"predictor": campaign.predictor}
    if all(group.threshold is None for group in groups):
        return _("Nothing can be promised yet.")
    if not campaign.predictor.is_ready or not campaign.predictor.has_files:
        return _("The files of “%(predictor)s” are missing: import or export it again.") % {
            "predictor": campaign.predictor
        }
    return ""
