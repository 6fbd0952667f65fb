"""The effect of a change of the mapping on classes, photos and hashtags, and the runs that become stale."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from mapping import downstream
from mapping.downstream import StaleRun
from mapping.models import OTHER, Release
from mapping.releases import KINDS, Move, State, compare, current_state, release_state

EXAMPLES = 6  # classes named beside a step


@dataclass(frozen=True)
class Step:
    """All classes that moved from one label to the same other label. None: the class is not in that state."""

    before: str | None
    after: str | None
    classes: int
    photos: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Impact:
    """The difference between two states. photos: scene key → number of registered photos.

    emptied, first: hashtags that lose their last photo, and hashtags that get their first one. While no photo
    is registered at all, each class counts as one photo.
    """

    moves: list[Move]
    steps: list[Step]
    kinds: list[
        tuple[str, int]
    ]  # each kind that occurs, in the order of releases.KINDS, and its number of classes
    photos: dict[str, int]
    stale: list[StaleRun]
    emptied: list[str]
    first: list[str]

    @property
    def photos_relabelled(self) -> int:
        """Photos whose label changes; photos of classes that are added or left out do not count."""
        return sum(self.photos.get(move.scene_key, 0) for move in self.moves if move.kind == "moved")

    @property
    def stale_models(self) -> int:
        return sum(bool(run.model) for run in self.stale)


def impact_between(before: Release, after: Release) -> Impact:
    return _impact(before, release_state(before), release_state(after))


def impact_of_publishing(newest: Release | None) -> Impact:
    """The effect of publishing a release now. newest: the present newest release."""
    return _impact(newest, release_state(newest), current_state())


def _impact(release: Release | None, before: State, after: State) -> Impact:
    moves = compare(before, after)
    new_labels = {move.scene_key: move.after for move in moves if move.relabelled}
    counts = Counter(move.kind for move in moves)
    source = downstream.get()
    photos = source.photo_counts()
    weight_before, weight_after = _weight(before, photos), _weight(after, photos)
    return Impact(
        moves=moves,
        steps=_steps(moves, photos),
        kinds=[(kind, n) for kind in KINDS if (n := counts[kind])],
        photos=photos,
        stale=source.stale_runs(release, new_labels) if release and new_labels else [],
        emptied=sorted(weight_before.keys() - weight_after.keys()),
        first=sorted(weight_after.keys() - weight_before.keys()),
    )


def _weight(state: State, photos: dict[str, int]) -> Counter[str]:
    """Photos per hashtag; hashtags without photos are left out."""
    photos_of: Counter[str] = Counter()
    for key, frozen in state.items():
        count = photos.get(key, 0) if photos else 1
        if count and frozen.label != OTHER:
            photos_of[frozen.label] += count
    return photos_of


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
