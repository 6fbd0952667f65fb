"""McNemar's test: compared with libraries, and the photos that it is computed on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mapping.models import Release, ReleaseLabel
from tests.trainer.conftest import LABELS
from trainer.models import PhotoSet, TestSet, TrainingRun
from trainer.runs.mcnemar import against, holm, mcnemar

RunFor = Callable[..., TrainingRun]


@pytest.mark.parametrize(("b", "c"), [(0, 5), (3, 9), (12, 12), (24, 0), (11, 13)])
def test_few_pairs_exactly(b: int, c: int) -> None:
    from scipy import stats

    p, exact = mcnemar(b, c)
    assert exact
    assert p == pytest.approx(min(1.0, 2 * stats.binom.cdf(min(b, c), b + c, 0.5)))


@pytest.mark.parametrize(("b", "c"), [(13, 12), (15, 10), (41, 73), (500, 380), (30, 31)])
def test_many_pairs_by_chi_square(b: int, c: int) -> None:
    p, exact = mcnemar(b, c)
    assert not exact
    # With one degree of freedom, the tail of chi-square is the complementary error function.
    assert p == pytest.approx(math.erfc(math.sqrt((abs(b - c) - 1) ** 2 / (b + c) / 2)))


@pytest.mark.parametrize(
    ("b", "c", "p", "exact"),
    [
        (1, 9, 22 / 1024, True),  # 2 (1 + 10) / 2^10
        (59, 6, 1.11993e-10, False),  # χ² = 52²/65 = 41.6
        (121, 59, 5.4504e-6, False),  # χ² = 61²/180 = 20.67
        (10, 3, 0.0922852, True),  # 2 (1 + 13 + 78 + 286) / 2^13
    ],
)
def test_known_values(b: int, c: int, p: float, exact: bool) -> None:
    p_value, is_exact = mcnemar(b, c)
    assert p_value == pytest.approx(p, rel=1e-4, abs=0)
    assert is_exact is exact
    assert mcnemar(c, b) == mcnemar(b, c)


def test_equal_counts_are_never_a_difference() -> None:
    assert mcnemar(40, 40)[0] == mcnemar(0, 0)[0] == 1  # not the χ² of a corrected −1


def test_holm_as_in_r() -> None:
    # p.adjust(c(.04, .01, .05, .02, .03), "holm")
    assert holm([0.04, 0.01, 0.05, 0.02, 0.03]) == pytest.approx([0.09, 0.05, 0.09, 0.08, 0.09])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def held_out(keys: Sequence[int]) -> TestSet:
    content = np.array(sorted(keys), np.uint64).tobytes()
    digest = hashlib.sha256(content).hexdigest()
    return TestSet.objects.get_or_create(digest=digest, defaults={"photos": len(keys), "keys": content})[0]


@pytest.fixture
def run_for(photo_set: PhotoSet, release: Release, finished_job: Callable[..., Any]) -> RunFor:
    """A run over the photos with these keys that gets `right` of them right."""

    def make(keys: Sequence[int], right: set[int], **fields: Any) -> TrainingRun:
        bits = np.array([key in right for key in sorted(keys)])
        return TrainingRun.objects.create(
            name="Run",
            preset="frozen-lite0",
            job=finished_job("trainer.train"),
            test_set=held_out(keys),
            right=np.packbits(bits).tobytes(),
            **{"photo_set": photo_set, "release": release, "recipe": {"kind": "frozen"}} | fields,
        )

    return make


KEYS = range(2**63, 2**63 + 61)  # not a multiple of 8, and beyond a signed integer


@pytest.mark.django_db
def test_counts_by_photo(run_for: RunFor) -> None:
    keys = list(KEYS)
    base = run_for(keys, set(keys[:40]))
    other = run_for(keys, set(keys[5:52]))
    same = run_for(keys, set(keys[:40]))
    tests = against(base.pk, [other.pk, same.pk])
    test = tests[other.pk]
    assert (test.photos, test.only_base, test.only_this, test.all_photos) == (61, 5, 12, True)
    assert test.p == pytest.approx(mcnemar(5, 12)[0])
    assert test.holm == pytest.approx(2 * test.p)  # two tests were made
    assert tests[same.pk].p == tests[same.pk].holm == 1


@pytest.mark.django_db
def test_different_test_sets_meet_in_their_common_photos(run_for: RunFor) -> None:
    keys = list(KEYS)
    base = run_for(keys[:40], set(keys[10:20]))
    other = run_for(keys[15:], set(keys[18:30]))
    test = against(base.pk, [other.pk])[other.pk]
    assert (test.photos, test.only_base, test.only_this, test.all_photos) == (25, 3, 10, False)


@pytest.mark.django_db
def test_without_common_photos_there_is_no_test(run_for: RunFor) -> None:
    keys = list(KEYS)
    base, other = run_for(keys[:30], set()), run_for(keys[30:], set(keys))
    assert "No photo was held out from both" in against(base.pk, [other.pk])[other.pk].reason


@pytest.mark.django_db
def test_another_split_is_compared_on_what_both_held_out(run_for: RunFor) -> None:
    keys = list(KEYS)
    base = run_for(keys[:40], set(), recipe={"kind": "frozen", "seed": 0})
    other_split = run_for(keys[20:], set(keys[20:30]), recipe={"kind": "frozen", "seed": 1})
    test = against(base.pk, [other_split.pk])[other_split.pk]
    assert (test.photos, test.all_photos, test.only_this) == (20, False, 10)


@pytest.mark.django_db
def test_run_without_results_is_no_test(run_for: RunFor, run: TrainingRun) -> None:
    whole = run_for(list(KEYS), set())
    assert against(whole.pk, [run.pk])[run.pk].reason == "There is no record of its test photos."
    assert "no record of the base run's" in against(run.pk, [whole.pk])[whole.pk].reason


@pytest.mark.django_db
def test_other_labels_of_the_same_photos_are_no_test(run_for: RunFor) -> None:
    keys = list(KEYS)
    base = run_for(keys, set())
    same_photos = Release.objects.create(number=2)
    elsewhere = Release.objects.create(number=3)
    for release, changes in ((same_photos, {"b/bar": "food"}), (elsewhere, {"z/zoo": "animals"})):
        ReleaseLabel.objects.bulk_create(
            ReleaseLabel(release=release, scene_key=key, label=label)
            for key, label in (LABELS | changes).items()
        )
    first, second = run_for(keys, set(), release=same_photos), run_for(keys, set(), release=elsewhere)
    tests = against(base.pk, [first.pk, second.pk])
    assert tests[first.pk].reason == "Its release labels 1 class of these photos differently."
    assert not tests[second.pk].reason  # no test photo has a class that only this release has


@pytest.mark.django_db
def test_queries_do_not_grow_with_runs(run_for: RunFor) -> None:
    keys = list(KEYS)
    base = run_for(keys, set())
    others = [run_for(keys[: 30 + n], set(keys)).pk for n in range(12)]
    counts = []
    for some in (others[:2], others):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            against(base.pk, some)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 5
