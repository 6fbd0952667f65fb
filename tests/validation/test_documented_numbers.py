"""Limits that docs/validation.md states are those of the code."""

from __future__ import annotations

import pytest
from django.conf import settings

from trainer.engine.scans import MOST_SCANS
from validation import for_mapping
from validation.agreement import answers, results
from validation.photos import intake_sources, intake_table, similar, store
from validation.statistics import yes_saying
from validation.voting import assignment

WORDS = {2: "two", 0.1: "a tenth"}


@pytest.mark.parametrize(
    "phrase",
    [
        f"scans ({MOST_SCANS})",
        f"at most {store.LONGEST_SIDE:,} px",
        f"at most {store.SMALL_SIDE:,} px",
        f"differs by {similar.NEAR} bits of 64",
        f"more than {intake_sources.MOST_FILES:,} entries",
        f"more than {intake_sources.MOST_DIRECTORY_BYTES >> 20} MB",
        f"up to {intake_table.MOST_BYTES >> 20} MB and {intake_sources.MOST_FILES:,} rows",
        f"for {assignment.LEASE.total_seconds() / 60:.0f} minutes",
        f"above {WORDS[results.MOST_UNJUDGED]} it warns",
        f"from {yes_saying.ENOUGH} answers on {yes_saying.ENOUGH_PHOTOS} photos of each kind",
        f"reads {answers.MOST:,} at most",
        f"at least {WORDS[for_mapping.LEAST]} people",
    ],
)
def test_a_limit_in_the_docs_is_the_limit_in_the_code(phrase: str) -> None:
    text = " ".join((settings.BASE_DIR / "docs/validation.md").read_text().split())
    assert phrase in text
