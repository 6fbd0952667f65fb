"""What people say about the hashtags that authors wrote, and about the check that accuses some of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from django.utils.translation import gettext_lazy as _

from validation.models import AuthorHashtag, Campaign, Participation, PostedHashtag, Question
from validation.models.answers import JUDGED
from validation.statistics.rate import Rate, majority
from validation.statistics.weighted import Weighed, share

PROMISED = 0.02  # of the hashtags that fit, at most so many get "does not fit": docs/api.md
Verdict = PostedHashtag.Verdict
WORDS = {Verdict.FITS: _("fits"), Verdict.DOUBTFUL: _("doubtful"), Verdict.DOES_NOT_FIT: _("does not fit")}


@dataclass(frozen=True)
class Unit:
    """A hashtag that an author wrote, and what most people say: 1 it fits, 0 it does not, ½ a tie."""

    photo: int
    hashtag: str
    author: str
    verdict: str
    chance: float
    cell: tuple[object, ...] = ()  # those drawn of a cell are judged in random order
    is_drawn: bool = False
    said: float | None = None  # None: nobody has answered
    weight: float = 0.0  # how many hashtags it stands for; 0 unless people judged it

    @property
    def is_accused(self) -> bool:
        return self.verdict == PostedHashtag.ACCUSED

    @property
    def is_checked(self) -> bool:
        return self.verdict in WORDS


@dataclass(frozen=True)
class Group:
    """The hashtags of one verdict, or one hashtag on all photos."""

    name: str
    written: int
    asked: int
    judged: int
    fits: Rate | None
    accused: int = 0
    rightly: int = 0  # accused, and most people say that it does not fit
    wrongly: int = 0  # accused, and most people say that it fits


@dataclass(frozen=True)
class Author:
    """One author's hashtags. `misfits`: those that most people find unfitting."""

    name: str
    photos: int
    written: int
    judged: int
    misfits: int
    accused: int
    rightly: int
    wrongly: int

    @property
    def share(self) -> float | None:
        return self.misfits / self.judged if self.judged else None


@dataclass(frozen=True)
class Findings:
    """Everything on the page of an authors' campaign that comes from votes."""

    units: list[Unit]
    done: int
    votes: int
    people: int

    @property
    def written(self) -> int:
        return len(self.units)

    @cached_property
    def asked(self) -> int:
        return sum(unit.is_drawn for unit in self.units)

    @cached_property
    def judged(self) -> list[Unit]:
        return [unit for unit in self.units if unit.said is not None]

    @property
    def overall(self) -> None:
        """No agreement with a model's suggestions: nobody was asked about any."""

    @property
    def is_finished(self) -> bool:
        return 0 < self.asked <= self.done

    @property
    def is_checked(self) -> bool:
        return any(unit.is_checked for unit in self.units)

    @cached_property
    def fits(self) -> Rate | None:
        """How often an author's hashtag fits."""
        return _fits(self.judged)

    @cached_property
    def unjudged(self) -> float:
        """The share of hashtags that no answer represents, such as a verdict about which nobody was asked."""
        return 1 - sum(unit.weight for unit in self.units) / len(self.units) if self.units else 0.0

    @cached_property
    def falsely_accused(self) -> Rate | None:
        """Of the hashtags that fit and the model knows, the share that the check accuses."""
        return share(
            Weighed(one.photo, one.weight * (one.said or 0.0), float(one.is_accused)) for one in self._checked
        )

    @cached_property
    def found(self) -> Rate | None:
        """Of the hashtags that do not fit and the model knows, the share that the check accuses."""
        return share(
            Weighed(one.photo, one.weight * (1 - (one.said or 0.0)), float(one.is_accused))
            for one in self._checked
        )

    @cached_property
    def rightly_accused(self) -> Rate | None:
        """Of the hashtags that the check accuses, the share that does not fit."""
        return share(
            Weighed(one.photo, one.weight, 1 - (one.said or 0.0)) for one in self._checked if one.is_accused
        )

    @property
    def promise(self) -> str:
        """Whether at most PROMISED of the fitting hashtags are accused: kept, broken or open."""
        rate = self.falsely_accused
        if rate is None or rate.is_few or rate.low <= PROMISED < rate.high:
            return "open"
        return "kept" if rate.high <= PROMISED else "broken"

    @property
    def missing(self) -> list[str]:
        """Verdicts about which nobody has answered, so that shares over all hashtags leave them out."""
        there = {unit.verdict for unit in self.units if unit.is_checked}
        answered = {unit.verdict for unit in self.judged}
        return [str(words) for verdict, words in WORDS.items() if verdict in there - answered]

    @cached_property
    def verdicts(self) -> list[Group]:
        words = WORDS | {Verdict.UNKNOWN: _("unknown to the model"), Verdict.NONE: _("not checked")}
        groups = _by(self.units, "verdict")
        return [_group(str(name), groups[verdict]) for verdict, name in words.items() if verdict in groups]

    @cached_property
    def hashtags(self) -> list[Group]:
        """The most judged first."""
        rows = [_group(name, units) for name, units in _by(self.units, "hashtag").items()]
        return sorted(rows, key=lambda row: (-row.judged, -row.written, row.name))

    @cached_property
    def authors(self) -> list[Author]:
        """Those with the most hashtags that people find unfitting first. Photos without an author are left
        out.
        """
        rows = [_author(name, units) for name, units in _by(self.units, "author").items() if name]
        return sorted(rows, key=lambda row: (-row.misfits, -(row.share or 0.0), -row.accused, row.name))

    @property
    def _checked(self) -> list[Unit]:
        return [unit for unit in self.judged if unit.is_checked]


def find(campaign: Campaign) -> Findings:
    """Read from counts stored with the questions, in a constant number of queries."""
    questions = Question.objects.of_campaign(campaign)
    fields = ("fits", "does_not_fit", "shared", "band", "is_done", "skips")
    counts = {
        (photo, hashtag): row
        for photo, hashtag, *row in questions.values_list("photo_id", "hashtag_id", *fields)
    }
    posted = PostedHashtag.objects.of_campaign(campaign).offered().order_by("pk")
    rows = posted.values_list(
        "photo_id", "hashtag_id", "hashtag__name", "photo__author", "verdict", "chance", "is_drawn"
    )
    units, done, votes = [], 0, 0
    for photo, hashtag, name, author, verdict, chance, is_drawn in rows:
        unit = Unit(photo, name, author, verdict, chance, is_drawn=is_drawn)
        if is_drawn and (row := counts.get((photo, hashtag))):
            fits, misfits, shared, band, is_done, skips = row
            done, votes = done + is_done, votes + fits + misfits + skips
            said = majority(fits, misfits) if fits + misfits else None
            unit = replace(unit, cell=(verdict, chance, shared, band), said=said)
        units.append(unit)
    people = Participation.objects.filter(JUDGED, campaign=campaign)
    people = people.exclude(person__standing__is_set_aside=True)
    return Findings(weigh(units), done, votes, people.count())


def weigh(units: list[Unit]) -> list[Unit]:
    """With the weights of the judged ones. Within a verdict they stand for all hashtags, drawn or not; cells
    without an answer are represented by the others.
    """
    drawn = Counter(unit.cell for unit in units if unit.is_drawn)
    judged = Counter(unit.cell for unit in units if unit.said is not None)
    raw = [
        drawn[unit.cell] / judged[unit.cell] / unit.chance if unit.said is not None else 0.0 for unit in units
    ]
    sizes = Counter(unit.verdict for unit in units)
    sums: dict[str, float] = defaultdict(float)
    for unit, weight in zip(units, raw, strict=True):
        sums[unit.verdict] += weight
    return [
        replace(unit, weight=weight * sizes[unit.verdict] / sums[unit.verdict]) if weight else unit
        for unit, weight in zip(units, raw, strict=True)
    ]


def count_unasked(campaign: Campaign) -> int:
    """How many of the authors' hashtags are none of ours, or other spellings of one that is."""
    written = AuthorHashtag.objects.filter(photo__campaigns=campaign, photo__withdrawn_at=None).count()
    return max(0, written - campaign.posted.count())


def _fits(units: Iterable[Unit]) -> Rate | None:
    return share(Weighed(one.photo, one.weight, one.said or 0.0) for one in units)


def _by(units: Iterable[Unit], field: str) -> dict[str, list[Unit]]:
    groups: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        groups[getattr(unit, field)].append(unit)
    return groups


def _accused(units: Iterable[Unit]) -> tuple[int, int, int]:
    """Of all, those of them that do not fit, and those that fit; ties are neither."""
    accused = [unit for unit in units if unit.is_accused]
    return len(accused), sum(one.said == 0 for one in accused), sum(one.said == 1 for one in accused)


def _group(name: str, units: list[Unit]) -> Group:
    judged = [unit for unit in units if unit.said is not None]
    asked = sum(unit.is_drawn for unit in units)
    return Group(name, len(units), asked, len(judged), _fits(judged), *_accused(units))


def _author(name: str, units: list[Unit]) -> Author:
    judged = [unit for unit in units if unit.said is not None]
    misfits = sum(unit.said == 0 for unit in judged)
    photos = len({unit.photo for unit in units})
    return Author(name, photos, len(units), len(judged), misfits, *_accused(units))
