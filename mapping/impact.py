"""What a change of the mapping does: classes, photos, hashtags, and the runs that it makes stale."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from mapping import downstream
from mapping.downstream import StaleRun
from mapping.models import OTHER, Release
from mapping.releases import KINDS, Move, State, compare, current_state, release_state

EXAMPLES = 6  # classes that are named beside a step


@dataclass(frozen=True)
class Step:
    """All classes that went from one label to the same other one. None: not there."""

    before: str | None
    after: str | None
    classes: int
    photos: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Impact:
    """What differs between two states. photos: scene key → how many photos of the class are registered.

    emptied, first: hashtags that lose their last photo, and that get their first one. While no photo is
    registered at all, a class counts as one.
    """

    moves: list[Move]
    steps: list[Step]
    kinds: list[tuple[str, int]]  # of releases.KINDS those that there are, with how many classes
    photos: dict[str, int]
    stale: list[StaleRun]
    emptied: list[str]
    first: list[str]

    @property
    def photos_relabelled(self) -> int:
        """Photos with one label before and another after; not those of classes added or left out."""
        return sum(self.photos.get(move.scene_key, 0) for move in self.moves if move.kind == "moved")

    @property
    def stale_models(self) -> int:
        return sum(bool(run.model) for run in self.stale)


def impact_between(before: Release, after: Release) -> Impact:
    return _impact(before, release_state(before), release_state(after))


def impact_of_publishing(newest: Release | None) -> Impact:
    """What a release published now would do. newest: the one it would follow."""
    return _impact(newest, release_state(newest), current_state())


def _impact(release: Release | None, before: State, after: State) -> Impact:
    moves = compare(before, after)
    relabelled = {move.scene_key: move.after for move in moves if move.relabelled}
    counts = Counter(move.kind for move in moves)
    source = downstream.get()
    photos = source.photo_counts()
    was, now = _weight(before, photos), _weight(after, photos)
    return Impact(
        moves=moves,
        steps=_steps(moves, photos),
        kinds=[(kind, n) for kind in KINDS if (n := counts[kind])],
        photos=photos,
        stale=source.stale_runs(release, relabelled) if release and relabelled else [],
        emptied=sorted(was.keys() - now.keys()),
        first=sorted(now.keys() - was.keys()),
    )


def _weight(state: State, photos: dict[str, int]) -> Counter[str]:
    """Photos by hashtag, without hashtags that have none."""
    found: Counter[str] = Counter()
    for key, frozen in state.items():
        count = photos.get(key, 0) if photos else 1
        if count and frozen.label != OTHER:
            found[frozen.label] += count
    return found


def _steps(moves: list[Move], photos: dict[str, int]) -> list[Step]:
    groups: dict[tuple[str | None, str | None], list[str]] = defaultdict(list)
    for move in moves:
        if move.relabelled:
            groups[move.before, move.after].append(move.scene_key)
    steps = [
        Step(was, now, len(keys), sum(photos.get(key, 0) for key in keys), tuple(keys[:EXAMPLES]))
        for (was, now), keys in groups.items()
    ]
    return sorted(steps, key=lambda step: (-step.classes, step.before or "", step.after or ""))
