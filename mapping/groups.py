"""Group pages: classes with the same suggestion, to be reviewed and confirmed together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mapping import queue
from mapping.models import MappingEntry, Opinion
from mapping.suggester import learner
from mapping.suggester.learner import RefusedAnswers

UNSURE = "unsure"  # the group of classes that need a closer look
ENOUGH = 100  # confirmed classes, or a quarter of all, from which on a group is ticked: docs/experiments.md
SURE = 0.6  # a class is unsure if its best answer is less probable; see benchmarks.suggest --groups


@dataclass(frozen=True)
class Group:
    """label: a hashtag's name, "other" or "unsure"."""

    label: str
    count: int


@dataclass(frozen=True)
class Member:
    entry: MappingEntry
    probability: float


@dataclass(frozen=True)
class Groups:
    """All groups, largest first and the unsure last, and the most probable members of the chosen group."""

    groups: list[Group]
    selection: str
    members: list[Member]

    @property
    def left(self) -> int:
        """Members of the chosen group that do not fit on the page."""
        return sum(group.count for group in self.groups if group.label == self.selection) - len(self.members)


def find_groups(
    opinion: Opinion | None, *, label: str = "", size: int = 60, refused_answers: RefusedAnswers | None = None
) -> Groups | None:
    """The groups of unconfirmed classes. None while the suggester is still being built.

    label: the group to show; an unknown one means the largest. refused_answers: answers that the curator
    unticked before and that must not come back. Raises WordNetMissing. Constant number of queries.
    """
    suggester = learner.current_learner(opinion)
    answers = suggester.answers(refused_answers) if suggester else None
    if answers is None:
        return None
    rows = MappingEntry.everywhere.filter(opinion=opinion).exclude(status=MappingEntry.Status.CONFIRMED)
    todo = [pk for pk in rows.values_list("scene_class_id", flat=True) if pk in answers]
    group_of = {pk: group_label(*answers[pk]) for pk in todo}
    counts = Counter(group_of.values())
    groups = [Group(name, count) for name, count in counts.most_common() if name != UNSURE]
    if UNSURE in counts:
        groups.append(Group(UNSURE, counts[UNSURE]))
    selection = label if label in counts else (groups[0].label if groups else "")
    members = sorted((pk for pk in todo if group_of[pk] == selection), key=lambda pk: -answers[pk][1])[:size]
    entries = {row.scene_class_id: row for row in queue.entries_of(opinion).filter(scene_class__in=members)}
    return Groups(groups, selection, [Member(entries[pk], answers[pk][1]) for pk in members if pk in entries])


def enough(total: int) -> int:
    """How many of all classes must be confirmed before the members of a group are ticked for the curator."""
    return min(ENOUGH, -(-total // 4))


def group_label(label: str, probability: float) -> str:
    return label if probability >= SURE else UNSURE
