"""The limits in docs/validation.md are those of the code."""

from __future__ import annotations

import pytest
from django.conf import settings

from trainer.engine.scans import MOST_SCANS
from validation import for_mapping
from validation.agreement import answers, results
from validation.people import crowd
from validation.photos import intake_sources, intake_table, similar, store
from validation.statistics import yes_saying
from validation.voting import assignment, votes

WORDS = {2: "two", 0.1: "a tenth"}


@pytest.mark.parametrize(
    "phrase",
    [
        f"scans ({MOST_SCANS} at most)",
        f"at most {store.LONGEST_SIDE:,} px",
        f"at most {store.SMALL_SIDE:,} px",
        f"differs by {similar.NEAR} bits of 64",
        f"more than {intake_sources.MOST_FILES:,} entries",
        f"{intake_sources.MOST_DIRECTORY_BYTES >> 20} MB",
        f"up to {intake_table.MOST_BYTES >> 20} MB and {intake_sources.MOST_FILES:,} rows",
        f"for {assignment.LEASE.total_seconds() / 60:.0f} minutes",
        f"warns above {WORDS[results.MOST_UNJUDGED]}",
        f"from {yes_saying.ENOUGH} answers on {yes_saying.ENOUGH_PHOTOS} photos of each kind",
        f"read {answers.MOST:,} at most",
        f"{crowd.MOST_FAST:.0%} of {crowd.ENOUGH_ANSWERS} answers or more took less than {votes.FAST} s",
        f"{crowd.MOST_CONTROL_FITS:.0%} of {crowd.ENOUGH_CONTROLS} or more wrong hashtags",
        f"{crowd.ALWAYS:.0%} of {crowd.ENOUGH_FOR_ALWAYS} answers or more",
        f"at least {WORDS[for_mapping.LEAST]} people",
    ],
)
def test_a_limit_in_the_docs_is_the_limit_in_the_code(phrase: str) -> None:
    text = " ".join((settings.BASE_DIR / "docs/validation.md").read_text().split())
    assert phrase.replace("%", " %") in text
