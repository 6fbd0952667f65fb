"""Learning from a teacher: probabilities of another model beside labels (a recipe's ``teacher``).

"Distilling the Knowledge in a Neural Network" (Hinton, Vinyals, Dean 2015): the loss of a photo is the
cross-entropy with its label and, for the teacher's share of it, that with the teacher's probabilities. At
temperature T both networks' logits are divided by T, and the loss is multiplied by T², so that its gradients
keep their size. Photos without labels learn from the teacher alone.

The teacher is asked about training photos only, each as it is, without distortion. One that tells scene
classes is asked for these: a label's probability is then their sum by the labels of the run, and a shift by
priors, which is in the teacher's own labels, plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.engine.networks.features import Halves
from trainer.engine.networks.parts import SMALLEST
from trainer.engine.networks.teacher import Teacher
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.sources import Taught
from trainer.engine.recipe import Recipe
from trainer.engine.training.pseudo import label_confident


@dataclass(frozen=True)
class Translation:
    """From a teacher's outputs to the names of a run: labels, scene classes, the label's index of each."""

    labels: list[str]
    scenes: list[str]
    groups: list[int]
    columns: list[int]  # of the teacher's outputs: the run's scene classes, or its labels
    tells_scenes: bool

    @classmethod
    def of(
        cls, teacher: Teacher, labels: Sequence[str], scenes: Sequence[str], groups: Sequence[int]
    ) -> Translation:
        """Raises RecipeError if the teacher knows neither all scene classes nor all labels."""
        columns, tells_scenes = teacher.columns(labels, scenes)
        return cls(list(labels), list(scenes), list(groups), columns, tells_scenes)

    def logs(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities of labels (n, c) and, if the teacher tells them, of scene classes (n, k)."""
        logs = rows[:, self.columns].float().log_softmax(1)
        if not self.tells_scenes:
            return logs, None
        member = F.one_hot(torch.tensor(self.groups), len(self.labels)).float()
        return (logs.exp() @ member).clamp_min(SMALLEST).log(), logs


@dataclass(frozen=True)
class Lessons:
    """What a teacher says of a run's training photos."""

    recipe: Recipe
    teacher: Teacher
    translation: Translation
    rows: Mapping[str, Halves]  # by content hash
    unlabelled: frozenset[str]  # content hashes of photos without labels

    def named(self, photos: Sequence[Photo]) -> list[Photo]:
        """The photos, each with its likeliest label and scene class; those that cannot be read are left out.

        These names are counted, but not learned.
        """
        readable = [photo for photo in photos if photo.sha256 in self.rows]
        if not readable:
            return []
        labels, scenes = self.translation.logs(self._matrix(readable))
        at = self.translation
        return label_confident(
            readable,
            labels.numpy(),
            None if scenes is None else scenes.numpy(),
            names=(at.labels, at.scenes, at.groups),
            confidence=0,
        )

    def of(self, photos: Sequence[Photo]) -> Taught:
        """For each photo the teacher's probabilities at the recipe's temperature, and its share of the loss.

        Of a photo that the teacher could not read it has no share.
        """
        labels, scenes = self.translation.logs(self._matrix(photos))
        heat = self.recipe.teacher_temperature
        shares = [
            0.0
            if photo.sha256 not in self.rows
            else 1.0
            if photo.sha256 in self.unlabelled
            else self.recipe.teacher_weight
            for photo in photos
        ]
        return Taught(
            torch.tensor(shares),
            (labels / heat).softmax(1),
            None if scenes is None else (scenes / heat).softmax(1),
            torch.tensor([float(photo.sha256 not in self.unlabelled) for photo in photos]),
        )

    def facts(self, photos: Sequence[Photo]) -> dict[str, Any]:
        """For the report: how many of these training photos have a label or none, and how often the teacher's
        likeliest label is theirs.
        """
        labelled = [photo for photo in photos if photo.sha256 not in self.unlabelled]
        named = {photo.photo_id: photo.label for photo in self.named(labelled)}
        right = sum(named[photo.photo_id] == photo.label for photo in labelled if photo.photo_id in named)
        return {
            "sha256": self.teacher.sha256,
            "photos": len(named),
            "unlabelled": len(photos) - len(labelled),
            "accuracy": right / len(named) if named else None,
            "tells_scenes": self.translation.tells_scenes,
        }

    def _matrix(self, photos: Sequence[Photo]) -> Tensor:
        width = len(self.teacher.labels) + len(self.teacher.scenes)
        nothing = torch.zeros(width)
        rows = [
            torch.from_numpy(self.rows[photo.sha256]).float() if photo.sha256 in self.rows else nothing
            for photo in photos
        ]
        return torch.stack(rows)
