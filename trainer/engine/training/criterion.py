"""What a batch is punished for: the recipe's loss over labels and scene classes, weighed and mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from formats.classes import is_outside
from trainer.engine.networks.finetuned import SECOND_LOSS
from trainer.engine.networks.parts import device
from trainer.engine.photos.sources import Batch, Taught
from trainer.engine.recipe import Recipe
from trainer.engine.training.extras import Extras, Mix
from trainer.engine.training.losses import mean_loss


class Criterion:
    """The recipe's loss over labels and, if the recipe asks for it, over scene classes."""

    def __init__(
        self, recipe: Recipe, extras: Extras | None = None, scene_classes: Sequence[str] = ()
    ) -> None:
        self.extras, self.epoch = extras, 0  # epochs finished
        self.loss = recipe.loss
        outside = [is_outside(name) for name in scene_classes]
        # By scene class; None if all photos weigh the same.
        self.weights: Tensor | None = None
        if any(outside) and recipe.negatives != 1:
            self.weights = torch.where(torch.tensor(outside), recipe.negatives, 1.0).to(device())
        self.smoothing, self.heat = recipe.label_smoothing, recipe.teacher_temperature
        self.scene_weight = recipe.scene_loss if recipe.kind == "frozen" else 0.0
        self.label_weights: Tensor | None = None  # (labels,), for photos by their label

    def __call__(self, network: nn.Sequential, batch: Batch, mix: Mix) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch and its number of right predictions (in a mix, for the photo with the larger
        share).

        ``mix`` = (permutation, share) mixes the batch with itself; None does not.
        """
        inputs = batch.inputs
        if mix is not None:
            inputs = mix[1] * inputs + (1 - mix[1]) * inputs[mix[0]]
        outputs, second = _outputs(network[0], inputs)
        logits = network[1](outputs)
        weights, taught = self._weights_of(batch), batch.taught
        of_labels = _weighed(taught, taught.labels, weights) if taught else None
        loss = self._mixed_loss(logits, batch.labels, mix, weights, of_labels)
        if second is not None:
            loss = loss + SECOND_LOSS * self._mixed_loss(second, batch.labels, mix, weights, of_labels)
        if self.scene_weight:
            of_scenes = _weighed(taught, taught.scenes, weights) if taught else None
            scene_loss = self._mixed_loss(outputs, batch.scenes, mix, weights, of_scenes)
            loss = loss + self.scene_weight * scene_loss
        if self.extras:
            loss = loss + self.extras.loss(outputs, batch, mix, self.epoch)
        targets = batch.labels if mix is None or mix[1] >= 0.5 else batch.labels[mix[0]]
        return loss, (logits.detach().argmax(1) == targets).sum()

    def _weights_of(self, batch: Batch) -> Tensor | None:
        """What each photo (n,) weighs, by its scene class and its label; None: all alike."""
        weights = None if self.weights is None else self.weights[batch.scenes]
        if self.label_weights is None:
            return weights
        of_labels = self.label_weights[batch.labels]
        return of_labels if weights is None else of_labels * weights

    def _mixed_loss(
        self, logits: Tensor, target: Tensor, mix: Mix, weights: Tensor | None, taught: Weighed | None
    ) -> Tensor:
        if taught is not None:
            weights = taught.own
        loss = mean_loss(self.loss, logits, target, smoothing=self.smoothing, weights=weights)
        if mix is not None:
            mixed_in = None if weights is None else weights[mix[0]]
            other = mean_loss(self.loss, logits, target[mix[0]], smoothing=self.smoothing, weights=mixed_in)
            loss = mix[1] * loss + (1 - mix[1]) * other
        if taught is not None and taught.probabilities is not None:
            loss = loss + self._taught_loss(logits, taught.probabilities, mix)
        return loss

    def _taught_loss(self, logits: Tensor, probabilities: Tensor, mix: Mix) -> Tensor:
        """Mean cross-entropy with the teacher's weighed probabilities (n, c), mixed as the photos are."""
        if mix is not None:
            probabilities = mix[1] * probabilities + (1 - mix[1]) * probabilities[mix[0]]
        logs = (logits / self.heat).log_softmax(1)
        return -(probabilities * logs).sum(1).mean() * self.heat**2


class Weighed(NamedTuple):
    """What n photos weigh in a loss by their own labels (n,), and by a teacher: its probabilities, each row
    times the photo's weight (n, c); None if it does not tell them.
    """

    own: Tensor
    probabilities: Tensor | None


def _weighed(taught: Taught, probabilities: Tensor | None, weights: Tensor | None) -> Weighed:
    whole = torch.ones_like(taught.shares) if weights is None else weights
    if probabilities is None:  # the teacher has no part in this loss: only the photos' own names have
        return Weighed(whole * taught.labelled, None)
    shares = whole * taught.shares
    return Weighed(whole - shares, shares[:, None] * probabilities)


def _outputs(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """The network's output, and Inception's second output during training."""
    outputs = network(inputs)
    if isinstance(outputs, Tensor):
        return outputs.float(), None
    return outputs.logits.float(), outputs.aux_logits.float()
