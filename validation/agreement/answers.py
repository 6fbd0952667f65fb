"""Single answers about suggestions: about all of them, or about a random sample of the questions.

Some figures need single answers: how people differ, whether they agree with each other, how often each person
errs. A dashboard must not read a million votes, so only the questions of the lowest ranks may be read: they
are a random sample of each stratum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import F
from numpy.typing import NDArray

from validation.agreement.strata import Row, key_of, questions_of
from validation.models import Campaign
from validation.models.answers import IN_FAVOUR, JUDGEMENTS

MOST = 20_000  # answers that a page reads
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Arrays (v,) with one entry per answer. Answers about one question are adjacent, the oldest first."""

    question: Numbers  # 0…n−1
    person: Numbers  # 0…m−1
    stratum: Numbers  # index of the row of strata.count
    is_yes: NDArray[np.bool_]
    first: NDArray[np.bool_]  # among the votes that every photo gets, before extra ones for disagreement
    is_sample: bool  # whether only a random sample of the questions was read

    def counts(self) -> Numbers:
        """(n, 2): how many of the first answers are yes and no, by question. Later answers would overstate
        agreement: they are requested where people disagree, so answers can only become more alike.
        """
        n = int(self.question.max()) + 1 if len(self.question) else 0
        question, yes = self.question[self.first], self.is_yes[self.first]
        return np.stack(
            [np.bincount(question[yes], minlength=n), np.bincount(question[~yes], minlength=n)], 1
        )

    def stratum_of_question(self) -> Numbers:
        _, at = np.unique(self.question, return_index=True)
        return np.asarray(self.stratum[at])


def read(campaign: Campaign | None, rows: Sequence[Row], most: int = MOST) -> Answers:
    """Read the answers that count, about `most` of them at most. rows: strata.count of the campaign."""
    questions = questions_of(campaign).judged()
    total = sum(row["votes"] for row in rows)
    if total > most:
        judged_photos = sum(row["fitting"] + row["tied"] + row["not_fitting"] for row in rows)
        ranks = questions.order_by("rank").values_list("rank", flat=True)
        at = int(judged_photos * most / total)
        for edge in ranks[at : at + 1]:  # empty if somebody took an answer back since the count
            questions = questions.filter(rank__lte=edge)
    votes = questions.filter(
        photo__votes__hashtag_id=F("hashtag_id"),
        photo__votes__set_aside=False,
        photo__votes__author_named=False,
        photo__votes__answer__in=JUDGEMENTS,
    )
    fields = ("pk", "hashtag_id", "band", "shared", "campaign_id")
    records = votes.order_by("pk", "photo__votes__pk").values_list(
        *fields, "photo__votes__person_id", "photo__votes__answer"
    )
    stratum_index = {key_of(row): at for at, row in enumerate(rows)}
    votes_per_photo = dict(Campaign.objects.order_by().values_list("pk", "votes_per_photo"))
    lines = [
        (pk, person, stratum_index[hashtag, band, shared, of], answer in IN_FAVOUR, votes_per_photo[of])
        for pk, hashtag, band, shared, of, person, answer in records
        if (hashtag, band, shared, of) in stratum_index  # false for a stratum created a moment ago
    ]
    table = np.array(lines, np.int64).reshape(-1, 5)
    _, start, question = np.unique(table[:, 0], return_index=True, return_inverse=True)
    _, person = np.unique(table[:, 1], return_inverse=True)
    number = np.arange(len(table)) - start[question] if len(table) else table[:, 0]
    return Answers(
        question, person, table[:, 2], table[:, 3].astype(bool), number < table[:, 4], total > most
    )
