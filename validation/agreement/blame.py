"""Where people disagree with a model: is it the network that erred, or a row of the mapping?

The people say it themselves when they disagree: "wrong scene" is the network's doing; "too general" and "too
specific" are the mapping's, because the scene was seen rightly and its hashtag does not say it; "photo
unclear" is nobody's. A suggestion without reasons is owed to nobody: nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Exists, F, OuterRef, Q, Subquery

from mapping.models import MappingEntry, SceneClass
from mapping.statistics import wilson
from validation.agreement.strata import OUTCOMES, Row, asked
from validation.models import Campaign, Prediction, Vote
from validation.models.answers import NOT_FITTING
from validation.statistics.rate import Rate

MOST_ROWS = 60
OWED = {
    Vote.Reason.WRONG_SCENE: "network",
    Vote.Reason.TOO_GENERAL: "mapping",
    Vote.Reason.TOO_SPECIFIC: "mapping",
    Vote.Reason.UNCLEAR: "photo",
}


PARTIES = {
    "network": "the network",
    "mapping": "the mapping",
    "photo": "the photo",
    "divided": "reasons divided",  # as many for one as for another
    "untold": "no reason given",
}
MOST_PHOTOS = 10_000  # behind one bar


@dataclass(frozen=True)
class Blame:
    """Suggestions that most people found unfitting, by what most of their reasons say."""

    counts: Counter[str]

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def parts(self) -> list[tuple[str, str, int]]:
        """(party, its words, suggestions owed to it)"""
        return [(party, words, self.counts[party]) for party, words in PARTIES.items()]


@dataclass(frozen=True)
class SceneRow:
    """A row of the mapping by what people said of photos in which the model saw its scene class."""

    scene: str
    entry: int | None  # of the mapping, to mend
    label: str | None  # what the mapping says today
    rate: Rate
    not_fitting: int
    network: int  # reasons given
    mapping: int


def blame(campaign: Campaign) -> Blame:
    return Blame(Counter(party for _, party in _misfits(campaign)))


def owed_to(campaign: Campaign, party: str) -> list[int]:
    """The questions behind one bar, MOST_PHOTOS at most."""
    return [pk for pk, owed in _misfits(campaign) if owed == party][:MOST_PHOTOS]


def scenes(campaign: Campaign, most: int = MOST_ROWS) -> list[SceneRow]:
    """Rows of the mapping that people disagree with most often; only where the model tells scenes apart."""
    seen = Prediction.objects.filter(photo_id=OuterRef("photo_id"), model_id=campaign.model_id)
    with_scene = (
        asked(campaign)
        .judged()
        .order_by()
        .annotate(scene=Subquery(seen.values("scene_class_id")[:1]))
        .filter(scene__isnull=False)
    )
    counted = with_scene.values("scene").annotate(**OUTCOMES).filter(Q(not_fitting__gt=0))
    unfitting: list[Row] = [dict(row) for row in counted]
    worst = sorted(unfitting, key=lambda row: -row["not_fitting"])[:most]
    scene_pks = [row["scene"] for row in worst]
    keys = dict(SceneClass.objects.filter(pk__in=scene_pks).values_list("pk", "key"))
    entries = MappingEntry.objects.filter(scene_class__in=scene_pks).select_related("hashtag")
    entry_of = {entry.scene_class_id: entry for entry in entries}
    reasons = _told(campaign, scene_pks)
    rows = []
    for row in worst:
        n = row["fitting"] + row["tied"] + row["not_fitting"]
        value = (row["fitting"] + row["tied"] / 2) / n
        entry = entry_of.get(row["scene"])
        rows.append(
            SceneRow(
                keys[row["scene"]],
                entry.pk if entry else None,
                entry.label if entry else None,
                Rate(value, *wilson(value, n), n=n),
                row["not_fitting"],
                reasons[row["scene"], "network"],
                reasons[row["scene"], "mapping"],
            )
        )
    return rows


def _misfits(campaign: Campaign) -> list[tuple[int, str]]:
    """Suggestions that most people found unfitting, and to whom each is owed."""
    reasons = _reasons(campaign)
    rows = asked(campaign).filter(NOT_FITTING).order_by().values_list("pk", "photo_id", "hashtag_id")
    return [(pk, _owed(reasons.get((photo, hashtag)))) for pk, photo, hashtag in rows]


def _reasons(campaign: Campaign) -> dict[tuple[int, int], Counter[str]]:
    """(photo, hashtag) → what is blamed, by how many, wherever they were asked: so were the votes."""
    counts: dict[tuple[int, int], Counter[str]] = {}
    votes = Vote.objects.counting().filter(~Q(reason=""), Exists(asked(campaign).on_outer_pair())).order_by()
    for photo, hashtag, reason, n in votes.values_list("photo_id", "hashtag_id", "reason").annotate(
        n=Count("pk")
    ):
        counts.setdefault((photo, hashtag), Counter())[OWED[Vote.Reason(reason)]] += n
    return counts


def _owed(counts: Counter[str] | None) -> str:
    if not counts:
        return "untold"
    first, *others = counts.most_common(2)
    return "divided" if others and others[0][1] == first[1] else first[0]


def _told(campaign: Campaign, scenes: list[int]) -> Counter[tuple[int, str]]:
    """(scene class, what is blamed) → how many reasons."""
    counts: Counter[tuple[int, str]] = Counter()
    votes = Vote.objects.counting().filter(
        ~Q(reason=""),
        photo__campaigns=campaign,
        photo__predictions__model_id=campaign.model_id,
        photo__predictions__hashtag_id=F("hashtag_id"),
        photo__predictions__scene_class__in=scenes,
    )
    rows = (
        votes.order_by().values_list("photo__predictions__scene_class_id", "reason").annotate(n=Count("pk"))
    )
    for scene, reason, n in rows:
        counts[scene, OWED[Vote.Reason(reason)]] += n
    return counts
