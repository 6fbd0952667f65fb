"""What people said of suggestions, answer by answer: of all of them, or of a random part of the questions.

What needs single answers (how people differ, whether they agree with each other, whose errors weigh how much)
is reckoned from these. A dashboard must not read a million votes; the questions of the lowest ranks are a
random part of each stratum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import F
from numpy.typing import NDArray

from validation.agreement.strata import Row, asked, key_of
from validation.models import Campaign
from validation.models.answers import IN_FAVOUR, JUDGEMENTS

MOST = 20_000  # answers that a page reads
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Arrays (v,), one entry an answer; those about one question together, in the order they were given."""

    question: Numbers  # 0…n−1
    person: Numbers  # 0…m−1
    stratum: Numbers  # index of the row of strata.count
    said_yes: NDArray[np.bool_]
    first: NDArray[np.bool_]  # among the votes that every photo gets, before disagreement asked for more
    is_sample: bool  # of a random part of the questions

    def counts(self) -> Numbers:
        """(n, 2): first answers yes and no, by question. Later ones would flatter people: where they were
        asked for, answers can only grow more alike.
        """
        n = int(self.question.max()) + 1 if len(self.question) else 0
        asked, yes = self.question[self.first], self.said_yes[self.first]
        return np.stack([np.bincount(asked[yes], minlength=n), np.bincount(asked[~yes], minlength=n)], 1)

    def stratum_of_question(self) -> Numbers:
        _, at = np.unique(self.question, return_index=True)
        return np.asarray(self.stratum[at])


def read(campaign: Campaign | None, rows: Sequence[Row], most: int = MOST) -> Answers:
    """The answers that count, at most about `most`; `rows` are strata.count of the same campaign."""
    questions = asked(campaign).judged()
    total = sum(row["votes"] for row in rows)
    if total > most:
        judged = sum(row["fitting"] + row["tied"] + row["not_fitting"] for row in rows)
        ranks = questions.order_by("rank").values_list("rank", flat=True)
        at = int(judged * most / total)
        for edge in ranks[at : at + 1]:  # none, if somebody took an answer back since they were counted
            questions = questions.filter(rank__lte=edge)
    votes = questions.filter(
        photo__votes__hashtag_id=F("hashtag_id"),
        photo__votes__set_aside=False,
        photo__votes__answer__in=JUDGEMENTS,
    )
    fields = ("pk", "hashtag_id", "band", "shared", "campaign_id")
    records = votes.order_by("pk", "photo__votes__pk").values_list(
        *fields, "photo__votes__person_id", "photo__votes__answer"
    )
    place = {key_of(row): at for at, row in enumerate(rows)}
    enough = dict(Campaign.objects.order_by().values_list("pk", "votes_per_photo"))
    lines = [
        (pk, person, place[hashtag, band, shared, where], answer in IN_FAVOUR, enough[where])
        for pk, hashtag, band, shared, where, person, answer in records
        if (hashtag, band, shared, where) in place  # not of a stratum that came to be a moment ago
    ]
    table = np.array(lines, np.int64).reshape(-1, 5)
    _, start, question = np.unique(table[:, 0], return_index=True, return_inverse=True)
    _, person = np.unique(table[:, 1], return_inverse=True)
    number = np.arange(len(table)) - start[question] if len(table) else table[:, 0]
    return Answers(
        question, person, table[:, 2], table[:, 3].astype(bool), number < table[:, 4], total > most
    )
