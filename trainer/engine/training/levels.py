"""SUN's three levels predicted together: an added loss for each (a recipe's ``level_loss``).

Level 3 are the scene classes; level 2 puts them into some 15 groups, level 1 into three (indoor, outdoor
natural, outdoor man-made). A group's probability is the sum of its scene classes', so the levels never
contradict one another, and one head over scene classes predicts all three.

A frozen recipe has that head already, and its ``scene_loss`` is the loss of level 3. A fine-tuned network
gets one beside its labels; training only uses it to shape the features, and it is not part of a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from formats.texts import Text
from trainer.engine.errors import PhotosError
from trainer.engine.networks.parts import SMALLEST
from trainer.engine.networks.taps import Tap, tap_features
from trainer.engine.photos.manifest import LEVELS, Photo
from trainer.engine.recipe import Recipe

UNKNOWN = -1
WHERE = Text(
    "A manifest has them in the columns level1 and level2, a table of labels in sun_level1 and sun_level2."
)


def groups_of(photos: Iterable[Photo], scenes: Sequence[str]) -> list[list[int]]:
    """For levels 1 and 2, the index of each scene class's group; UNKNOWN where no photo names one.

    Raises PhotosError if a class is in two groups of a level, or if none is in any.
    """
    of_class: dict[str, tuple[str, str]] = {}
    for photo in photos:
        first = of_class.setdefault(photo.scene_class, photo.levels)
        for name, one, other in zip(LEVELS, first, photo.levels, strict=True):
            if one != other:
                raise PhotosError(
                    Text(
                        "scene class %(scene_class)s has two groups of %(name)s in the manifest",
                        scene_class=photo.scene_class,
                        name=name,
                    )
                )
    levels = []
    for at in range(len(LEVELS)):
        names = [of_class[scene][at] for scene in scenes]
        groups = sorted(set(names) - {""})
        levels.append([groups.index(name) if name else UNKNOWN for name in names])
    if not any(group != UNKNOWN for groups in levels for group in groups):
        raise PhotosError(Text("no scene class of these photos has a group of level 1 or 2"), hint=WHERE)
    return levels


class Levels(nn.Module):
    """The loss and the answers of all levels. In a frozen recipe it has no weights."""

    def __init__(
        self, recipe: Recipe, network: nn.Module, groups: Sequence[Sequence[int]], labels: int
    ) -> None:
        """``network`` gives scene classes in a frozen recipe, else ``labels`` logits."""
        super().__init__()
        self.weight = recipe.level_loss
        self.features: Tap | None = None
        self.head: nn.Linear | None = None
        if recipe.kind == "finetune":
            self.features, count = tap_features(network, recipe, labels)
            self.head = nn.Linear(count, len(groups[0]))
        for name, group_of in zip(LEVELS, groups, strict=True):
            index = torch.tensor(group_of)
            member = F.one_hot(index.clamp_min(0), max(group_of) + 1 if max(group_of) >= 0 else 1)
            self.register_buffer(f"group_of_{name}", index, persistent=False)
            self.register_buffer(f"members_{name}", member * (index >= 0)[:, None].float(), persistent=False)

    def scenes(self, outputs: Tensor) -> Tensor:
        """Logits (n, k) of scene classes for the batch that gave the network's ``outputs``."""
        if self.head is None or self.features is None:
            return outputs
        logits: Tensor = self.head(self.features.value.float())
        return logits

    def answers(self, scenes: Tensor, true: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For levels 1, 2 and 3: log-probabilities (n, groups) and the true groups (n,), some UNKNOWN.

        ``scenes``: logits (n, k) of scene classes, ``true``: the true classes (n,).
        """
        shares = scenes.softmax(1)
        rows = []
        for name in LEVELS:
            of_group = (shares @ self.get_buffer(f"members_{name}")).clamp_min(SMALLEST).log()
            rows.append((of_group, self.get_buffer(f"group_of_{name}")[true]))
        return [*rows, (scenes.log_softmax(1), true)]

    def loss(self, outputs: Tensor, true: Tensor) -> Tensor:
        """The weighted sum of the levels' mean losses. A photo counts for the levels that its class has."""
        rows = self.answers(self.scenes(outputs), true)
        if self.head is None:
            rows = rows[:-1]  # scene_loss is that of level 3
        total = outputs.new_zeros(())
        for logs, groups in rows:
            known = groups != UNKNOWN
            if known.any():
                total = total + F.nll_loss(logs[known], groups[known])
        return self.weight * total


def hits(rows: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """(levels, 2): right answers and photos with a known group, by level."""
    counts = []
    for logs, groups in rows:
        known = groups != UNKNOWN
        counts.append(torch.stack([((logs.argmax(1) == groups) & known).sum(), known.sum()]))
    return torch.stack(counts)
