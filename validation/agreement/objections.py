"""What the votes of a campaign say against the thresholds of a model that was relabelled since.

Its network suggests other hashtags on some of the photos. About those that it suggests as before there are
votes, and they may only make it stricter: docs/decisions/0065-votes-that-object.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from django.urls import reverse
from numpy.typing import NDArray

from formats.names import normalize_name
from trainer.registry.asked import Objection, Objections, Suggest
from validation.agreement import answers, results, strata
from validation.agreement.thresholds import read_drawn
from validation.campaigns.counts import in_parts
from validation.models import Campaign, Photo
from validation.statistics.people import between_people
from validation.statistics.risk import HALF_A_DIGIT, Drawn, find_objections
from validation.stored import read_stored

MOST = 1_000  # photos that the network answers
BATCH = 16


def find(
    *, campaign: Campaign, groups: Sequence[Collection[str]], target: float, suggest: Suggest
) -> Objections | None:
    """None if nobody has judged a hashtag that the network still suggests for that photo.

    Photos are drawn evenly: those ranked below the first question that nobody was asked, MOST at most. Which
    of them the network suggests the same hashtag for does not depend on the ranks.
    """
    questions = strata.questions_of(campaign).offered()
    names = {normalize_name(name): name for name in chain.from_iterable(groups)}
    hashtags = names or questions.order_by().values_list("hashtag__name", flat=True).distinct()
    drawn = _first(read_drawn(questions, list(hashtags)))
    judged = _as_suggested(drawn, suggest)
    if not len(judged.rank):
        return None
    rows = strata.count(campaign)
    sample = answers.read(campaign, rows)
    found = find_objections(
        judged,
        [[normalize_name(name) for name in group] for group in groups],
        target=target,
        between=between_people(sample.person, sample.stratum, sample.is_yes),
    )
    return Objections(
        name=campaign.name,
        url=reverse("validation:campaign", args=[campaign.pk]),
        photos=len(judged.rank),
        people=results.people(campaign, rows),
        found=tuple(
            Objection(
                hashtags=tuple(names.get(name, name) for name in one.hashtags),
                judged=one.judged,
                fitting=one.judged - one.wrong,
                least=None if one.threshold is None else one.threshold - HALF_A_DIGIT,
            )
            for one in found
        ),
    )


def _first(drawn: Drawn) -> Drawn:
    """Those below the edge of their hashtag, and MOST at most, which is another edge."""
    edges = np.array([drawn.edges.get(name, np.inf) for name in drawn.hashtag], float)
    ranks = np.sort(drawn.rank[drawn.rank < edges])
    last = float(ranks[MOST]) if len(ranks) > MOST else np.inf
    kept = drawn.rank < np.minimum(edges, last)
    limits = {str(name): min(drawn.edges.get(name, np.inf), last) for name in np.unique(drawn.hashtag)}
    return replace(_part(drawn, kept), edges=limits)


def _as_suggested(drawn: Drawn, suggest: Suggest) -> Drawn:
    """Those for which the network suggests the hashtag that people were asked about, with its confidence."""
    said: list[tuple[str | None, float]] = []
    for some in in_parts(drawn.photo.tolist(), BATCH):
        photos = Photo.objects.in_bulk(some)
        said += suggest([_content(photos[pk]) for pk in some])
    names = [name and normalize_name(name) for name, _ in said]
    kept = np.array([name == asked for name, asked in zip(names, drawn.hashtag, strict=True)], bool)
    confidence = np.array([confidence for _, confidence in said], float)
    return _part(replace(drawn, confidence=confidence), kept)


def _content(photo: Photo) -> bytes:
    try:
        return read_stored(str(photo.file.name))
    except FileNotFoundError:
        return b""  # unreadable: nothing is suggested for it


def _part(drawn: Drawn, kept: NDArray[np.bool_]) -> Drawn:
    arrays = {
        name: getattr(drawn, name)[kept] for name in ("hashtag", "rank", "confidence", "right", "photo")
    }
    return replace(drawn, **arrays)
