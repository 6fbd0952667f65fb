"""Is one run better than another, or just lucky? McNemar's test, on the photos both were measured on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from numpy.typing import NDArray

from mapping.models import ReleaseLabel
from trainer.engine.evaluation.mcnemar import exact_p
from trainer.models import ScenePhoto, TestSet, TrainingRun

FEW = 25  # with fewer discordant photos, the test is exact
SURE = 0.05  # level of significance


@dataclass(frozen=True)
class Test:
    """The test of a run against the base run. p: two-sided; holm: p corrected for all tests on the page.

    only_base: photos that only the base run gets right (b); only_this: photos that only this run does (c).
    reason: why there is no test; the numbers then mean nothing.
    """

    __test__ = False  # not one of pytest's

    photos: int = 0
    only_base: int = 0
    only_this: int = 0
    p: float = 1.0
    holm: float = 1.0
    exact: bool = False
    all_photos: bool = True  # both test sets are the same
    reason: str = ""

    @property
    def verdict(self) -> str:
        if self.reason or self.holm >= SURE:
            return ""
        return "better" if self.only_this > self.only_base else "worse"

    @property
    def verdict_words(self) -> str:
        words = {
            "better": pgettext("than the base run", "better"),
            "worse": pgettext("than the base run", "worse"),
        }
        return words.get(self.verdict) or _("may be chance")


def mcnemar(only_base: int, only_this: int) -> tuple[float, bool]:
    """The two-sided p-value of b and c discordant pairs, and whether it is exact.

    Under the null hypothesis a discordant pair falls to either side with probability 1/2. For fewer than 25
    pairs it is the exact binomial test; otherwise χ² = (|b − c| − 1)² / (b + c) with one degree of freedom
    and Edwards' continuity correction. McNemar, Psychometrika 12 (1947) 153–157; Edwards, Psychometrika 13
    (1948) 185–187; recommended for comparing classifiers: Dietterich, Neural Computation 10 (1998) 1895–1923.
    Put together from scipy: statsmodels' mcnemar gives p = 0.91 for 40 and 40, which do not differ at all.
    """
    from scipy import stats  # here because it takes half a second, and every web process imports this module

    pairs = only_base + only_this
    if pairs < FEW:
        return exact_p(only_base, only_this), True
    # Without the bound at 0, the correction would turn equal counts into a difference.
    statistic = max(abs(only_base - only_this) - 1, 0) ** 2 / pairs
    return float(stats.chi2.sf(statistic, 1)), False


def holm(values: Sequence[float]) -> list[float]:
    """The p-values, in the same order, corrected for their number. Holm, Scand. J. Statist. 6 (1979) 65–70.

    Our own: scipy corrects only false discovery rates, and six lines are no reason to load statsmodels.
    """
    count = len(values)
    order = sorted(range(count), key=lambda at: values[at])
    p_values, worst = [0.0] * count, 0.0
    for place, at in enumerate(order):
        worst = max(worst, min(1.0, (count - place) * values[at]))
        p_values[at] = worst
    return p_values


@dataclass(frozen=True)
class _Run:
    test_set: int | None
    right: bytes | None
    release: int
    photo_set: int


def against(base: int, others: Sequence[int]) -> dict[int, Test]:
    """Run → its test against the base run, by primary keys. At most five queries for any number of runs."""
    fields = ("test_set", "right", "release", "photo_set")
    rows = TrainingRun.objects.filter(pk__in=[base, *others])
    runs = {pk: _Run(*rest) for pk, *rest in rows.values_list("pk", *fields)}
    ours = runs.get(base)
    if ours is None or ours.test_set is None or not ours.right:
        return {pk: Test(reason=_("There is no record of the base run's test photos.")) for pk in others}
    sets = {run.test_set for run in runs.values() if run.test_set}
    keys = {
        pk: np.frombuffer(bytes(content), np.uint64)
        for pk, content in TestSet.objects.filter(pk__in=sets).values_list("pk", "keys")
    }
    differences = _label_differences(ours.release, {run.release for run in runs.values()}, ours.photo_set)
    tests: dict[int, Test] = {}
    groups: dict[int, list[int]] = defaultdict(list)
    for pk in others:
        run = runs.get(pk)
        if run is None or run.test_set is None or not run.right:
            tests[pk] = Test(reason=_("There is no record of its test photos."))
        elif count := differences.get(run.release, 0):
            reason = ngettext(
                "Its release labels %(n)s class of these photos differently.",
                "Its release labels %(n)s classes of these photos differently.",
                count,
            )
            tests[pk] = Test(reason=reason % {"n": count})
        else:
            groups[run.test_set].append(pk)
    for test_set, members in groups.items():
        rights = [bytes(runs[pk].right or b"") for pk in members]
        group_tests = _tests(keys[ours.test_set], bytes(ours.right), keys[test_set], rights)
        tests |= dict(zip(members, group_tests, strict=True))
    return _correct(tests)


def _tests(
    base_keys: NDArray[np.uint64], base_right: bytes, keys: NDArray[np.uint64], rights: Sequence[bytes]
) -> list[Test]:
    """The tests of runs with the same test set, all at once."""
    # Photos held out from both runs: neither has learned from them, however the rest was split.
    _photos, ours, theirs = np.intersect1d(base_keys, keys, assume_unique=True, return_indices=True)
    if not len(ours):
        reason = _("No photo was held out from both runs: one may have learned from the other's test photos.")
        return [Test(reason=reason)] * len(rights)
    packed_bits = np.frombuffer(b"".join(rights), np.uint8).reshape(len(rights), -1)
    right = np.unpackbits(packed_bits, axis=1, count=len(keys)).astype(bool)[:, theirs]
    base = np.unpackbits(np.frombuffer(base_right, np.uint8), count=len(base_keys)).astype(bool)[ours]
    only_base, only_this = (base & ~right).sum(1), (~base & right).sum(1)
    same = len(ours) == len(keys) == len(base_keys)
    tests = []
    for b, c in zip(only_base.tolist(), only_this.tolist(), strict=True):
        p, exact = mcnemar(b, c)
        tests.append(Test(len(ours), b, c, p=p, exact=exact, all_photos=same))
    return tests


def _correct(tests: dict[int, Test]) -> dict[int, Test]:
    keys = [pk for pk, test in tests.items() if not test.reason]
    for pk, p in zip(keys, holm([tests[pk].p for pk in keys]), strict=True):
        tests[pk] = replace(tests[pk], holm=p)
    return tests


def _label_differences(base: int, releases: Collection[int], photo_set: int) -> dict[int, int]:
    """Release → how many classes of the photo set have another label there than in the base release.

    A class that a release leaves out has no photo in that run's test set, so it does not count.
    """
    others = set(releases) - {base}
    if not others:
        return {}
    labels: dict[int, dict[str, str]] = defaultdict(dict)
    rows = ReleaseLabel.objects.order_by().filter(release__in=[base, *others])
    for release, key, label in rows.values_list("release", "scene_key", "label"):
        labels[release][key] = label
    classes_of = {
        release: {key for key, label in labels[release].items() if labels[base].get(key, label) != label}
        for release in others
    }
    keys = set().union(*classes_of.values())
    if not keys:
        return {}
    photos = ScenePhoto.objects.order_by().filter(photo_set=photo_set, scene_class__key__in=keys)
    set_classes = set(photos.values_list("scene_class__key", flat=True).distinct())
    return {release: len(classes & set_classes) for release, classes in classes_of.items()}
