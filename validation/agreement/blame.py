"""Where people disagree with a model: did the network err, or a row of the mapping?

People give the reason when they disagree. "Wrong scene" blames the network. "Too general" and "too specific"
blame the mapping: the scene was recognised, but its hashtag does not describe it. "Photo unclear" blames the
photo. Without reasons nobody is blamed: nothing is guessed. Blocked hashtags are left out: nobody suggests
them any more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.utils.translation import gettext_lazy as _

from mapping.models import MappingEntry, SceneClass
from mapping.statistics import wilson
from validation.agreement.strata import OUTCOMES, Row, questions_of
from validation.models import Campaign, Prediction, Vote
from validation.models.answers import NOT_FITTING
from validation.statistics.rate import Rate

MOST_ROWS = 60
PARTY_OF_REASON = {
    Vote.Reason.WRONG_SCENE: "network",
    Vote.Reason.TOO_GENERAL: "mapping",
    Vote.Reason.TOO_SPECIFIC: "mapping",
    Vote.Reason.UNCLEAR: "photo",
}


PARTIES = {
    "network": _("the network"),
    "mapping": _("the mapping"),
    "photo": _("the photo"),
    "divided": _("reasons divided"),  # two parties are blamed equally often
    "untold": _("no reason given"),
}
MOST_PHOTOS = 10_000  # behind one bar


@dataclass(frozen=True)
class Blame:
    """Suggestions that most people found unfitting, by the party that most of their reasons blame."""

    counts: Counter[str]

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def parts(self) -> list[tuple[str, str, int]]:
        """(party, its words, number of suggestions that it is blamed for)"""
        return [(party, str(words), self.counts[party]) for party, words in PARTIES.items()]


@dataclass(frozen=True)
class SceneRow:
    """A row of the mapping, and what people said about photos in which the model saw its scene class."""

    scene: str
    entry: int | None  # of the mapping, to correct
    label: str | None  # what the mapping says today
    rate: Rate
    not_fitting: int
    network: int  # reasons that blame the network
    mapping: int


def blame(campaign: Campaign) -> Blame:
    return Blame(Counter(party for _, party in _misfits(campaign)))


def questions_blamed_on(campaign: Campaign, party: str) -> list[int]:
    """The questions behind one bar, MOST_PHOTOS at most."""
    return [pk for pk, blamed_party in _misfits(campaign) if blamed_party == party][:MOST_PHOTOS]


def scenes(campaign: Campaign, most: int = MOST_ROWS) -> list[SceneRow]:
    """The rows of the mapping that people disagree with most often; none if the model does not tell scene
    classes apart.
    """
    predictions = Prediction.objects.filter(photo_id=OuterRef("photo_id"), model_id=campaign.model_id)
    with_scene = (
        questions_of(campaign)
        .offered()
        .judged()
        .order_by()
        .annotate(scene=Subquery(predictions.values("scene_class_id")[:1]))
        .filter(scene__isnull=False)
    )
    outcomes = with_scene.values("scene").annotate(**OUTCOMES).filter(Q(not_fitting__gt=0))
    unfitting: list[Row] = [dict(row) for row in outcomes]
    worst = sorted(unfitting, key=lambda row: -row["not_fitting"])[:most]
    scene_pks = [row["scene"] for row in worst]
    keys = dict(SceneClass.objects.filter(pk__in=scene_pks).values_list("pk", "key"))
    entries = MappingEntry.objects.filter(scene_class__in=scene_pks).select_related("hashtag")
    entry_of = {entry.scene_class_id: entry for entry in entries}
    reasons = _count_reasons_by_scene(campaign, scene_pks)
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
    """Suggestions that most people found unfitting, and the party that is blamed for each."""
    reasons = _count_reasons_by_pair(campaign)
    rows = (
        questions_of(campaign)
        .offered()
        .filter(NOT_FITTING)
        .order_by()
        .values_list("pk", "photo_id", "hashtag_id")
    )
    return [(pk, _blamed_party(reasons.get((photo, hashtag)))) for pk, photo, hashtag in rows]


def _count_reasons_by_pair(campaign: Campaign) -> dict[tuple[int, int], Counter[str]]:
    """(photo, hashtag) → how many reasons blame each party. Like votes, reasons count from any campaign."""
    counts: dict[tuple[int, int], Counter[str]] = {}
    questions = questions_of(campaign).on_outer_pair()
    votes = Vote.objects.counting().counting_in(campaign).filter(~Q(reason=""), Exists(questions)).order_by()
    for photo, hashtag, reason, n in votes.values_list("photo_id", "hashtag_id", "reason").annotate(
        n=Count("pk")
    ):
        counts.setdefault((photo, hashtag), Counter())[PARTY_OF_REASON[Vote.Reason(reason)]] += n
    return counts


def _blamed_party(counts: Counter[str] | None) -> str:
    if not counts:
        return "untold"
    first, *others = counts.most_common(2)
    return "divided" if others and others[0][1] == first[1] else first[0]


def _count_reasons_by_scene(campaign: Campaign, scenes: list[int]) -> Counter[tuple[int, str]]:
    """(scene class, party) → how many reasons blame it."""
    counts: Counter[tuple[int, str]] = Counter()
    votes = (
        Vote.objects.counting()
        .counting_in(campaign)
        .offered()
        .filter(
            ~Q(reason=""),
            photo__campaigns=campaign,
            photo__predictions__model_id=campaign.model_id,
            photo__predictions__hashtag_id=F("hashtag_id"),
            photo__predictions__scene_class__in=scenes,
        )
    )
    rows = (
        votes.order_by().values_list("photo__predictions__scene_class_id", "reason").annotate(n=Count("pk"))
    )
    for scene, reason, n in rows:
        counts[scene, PARTY_OF_REASON[Vote.Reason(reason)]] += n
    return counts
