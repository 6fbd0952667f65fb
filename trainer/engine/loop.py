"""The training loop: epochs over a source, a checkpoint after each, and the same result after any kill."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import checkpoint, metrics
from .errors import NotANumberError
from .events import StopRequest, emit
from .families import SECOND_LOSS
from .networks import device
from .recipe import Recipe
from .schedule import rate
from .sources import Batch, Source
from .stopper import reason_to_stop

CHECKPOINT_SECONDS = 60.0  # between checkpoints inside a long epoch; every epoch's end has one when due


@dataclass
class Position:
    """Where a run stands: enough, with the weights, to go on as if nothing had happened."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # batches done in the running epoch
    loss_sum: float = 0.0
    photos: int = 0
    seconds: float = 0.0
    best: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Criterion:
    """Cross-entropy over labels and, where the recipe asks for it, over scene classes."""

    def __init__(self, recipe: Recipe) -> None:
        self.smoothing = recipe.label_smoothing
        self.scene_weight = recipe.scene_loss if recipe.kind == "frozen" else 0.0

    def __call__(self, network: nn.Sequential, batch: Batch, mix: tuple[Tensor, float] | None) -> Tensor:
        """Mean loss of a batch; ``mix`` = (permutation, share) where the batch is to be mixed with itself."""
        inputs = batch.inputs
        if mix is not None:
            inputs = mix[1] * inputs + (1 - mix[1]) * inputs[mix[0]]
        outputs, second = _outputs(network[0], inputs)
        loss = self._cross_entropy(network[1](outputs), batch.labels, mix)
        if second is not None:
            loss = loss + SECOND_LOSS * self._cross_entropy(second, batch.labels, mix)
        if self.scene_weight:
            loss = loss + self.scene_weight * self._cross_entropy(outputs, batch.scenes, mix)
        return loss

    def _cross_entropy(self, logits: Tensor, target: Tensor, mix: tuple[Tensor, float] | None) -> Tensor:
        loss = F.cross_entropy(logits, target, label_smoothing=self.smoothing)
        if mix is not None:
            other = F.cross_entropy(logits, target[mix[0]], label_smoothing=self.smoothing)
            loss = mix[1] * loss + (1 - mix[1]) * other
        return loss


def _outputs(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """What the network says, and what Inception's second output says while it trains."""
    said = network(inputs)
    if isinstance(said, Tensor):
        return said.float(), None
    return said.logits.float(), said.aux_logits.float()


class Trainer:
    """Trains one network on one source into one folder."""

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Sequential,
        source: Source,
        out: Path,
        *,
        identity: dict[str, Any],
        stop: StopRequest,
    ) -> None:
        self.recipe, self.source, self.out, self.stop = recipe, source, out, stop
        self.identity = identity
        self.device = device()
        self.network = network.to(self.device)
        if self.device.type == "cuda" and recipe.kind == "finetune":
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.criterion = Criterion(recipe)
        self.optimizer = _optimizer(recipe, self.network)
        self.steps = math.ceil(source.train_count / recipe.batch_size)
        self.at = Position()
        self.saved = time.monotonic()

    def run(self) -> None:
        """Train to the last epoch, from the checkpoint where there is one; raises Stopped when asked to."""
        self._resume()
        while self.at.epoch < self.recipe.epochs and not self._enough():
            self._train_epoch()
            self._end_epoch()
            self.stop.check()
        self.stopped_early = self._enough()
        if self.stopped_early and self.recipe.keep == "last":
            self._save("best.pt")
        if not (self.out / "best.pt").exists():
            self._save("best.pt")

    def _enough(self) -> str | None:
        return reason_to_stop(self.recipe, [row[self.recipe.stop_metric] for row in self.at.history])

    # --- one epoch

    def _train_epoch(self) -> None:
        self.network.train()
        start, before = time.monotonic(), self.at.photos
        for batch in self.source.batches(self.at.epoch, self.at.batch):
            if self.stop:
                self.at.seconds += time.monotonic() - start
                self.save()
                self.stop.check()
            if len(batch.labels) > 1:  # batch normalisation cannot learn from a single photo
                self.at.loss_sum += self._step(self._moved(batch)) * len(batch.labels)
            self.at.photos += len(batch.labels)
            self.at.batch += 1
            if self.recipe.kind == "finetune":
                self._tell(time.monotonic() - start, self.at.photos - before)
        self.at.seconds += time.monotonic() - start

    def _tell(self, seconds: float, photos: int) -> None:
        now = time.monotonic()
        if now - self.saved > CHECKPOINT_SECONDS:
            self.save()
        left = self.source.train_count * (self.recipe.epochs - self.at.epoch) - self.at.photos
        if self.at.batch % max(1, self.steps // 20) == 0:
            emit(
                "progress",
                phase=f"epoch {self.at.epoch + 1} of {self.recipe.epochs}",
                done=self.at.batch,
                total=self.steps,
                seconds_left=round(seconds / max(photos, 1) * left, 1),
            )

    def _step(self, batch: Batch) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=self._mixed_precision()):
            loss = self.criterion(self.network, batch, self._mix(len(batch.labels)))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NotANumberError(
                f"the loss became {value} in epoch {self.at.epoch + 1}",
                hint=f"Lower the learning rate (it is {self.recipe.lr:g}).",
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return value

    def _mixed_precision(self) -> bool:
        return self.device.type == "cuda" and self.recipe.kind == "finetune"

    def _mix(self, count: int) -> tuple[Tensor, float] | None:
        if not self.recipe.mixup:
            return None
        alpha = torch.full((2,), self.recipe.mixup)
        share = float(torch._sample_dirichlet(alpha)[0])
        return torch.randperm(count).to(self.device), share

    def _lr(self) -> float:
        return rate(self.recipe, step=self.at.epoch * self.steps + self.at.batch, steps=self.steps)

    def _moved(self, batch: Batch) -> Batch:
        inputs = batch.inputs.to(self.device, non_blocking=True)
        if inputs.ndim == 4 and self.device.type == "cuda":
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return Batch(inputs, batch.labels.to(self.device), batch.scenes.to(self.device))

    def _end_epoch(self) -> None:
        start = time.monotonic()
        lr = self.optimizer.param_groups[0]["lr"]
        logits, true = self.test()
        matrix = metrics.confusion(true, logits.argmax(1), len(self.identity["labels"]))
        self.at.seconds += time.monotonic() - start
        self.at.epoch += 1
        row = {
            "epoch": self.at.epoch,
            "epochs": self.recipe.epochs,
            "loss": self.at.loss_sum / max(self.at.photos, 1),
            "test_loss": float(F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(true))),
            "accuracy": metrics.accuracy(matrix),
            "balanced_accuracy": metrics.balanced_accuracy(matrix),
            "lr": lr,
            "photos_per_second": round(
                self.source.train_count * self.at.epoch / max(self.at.seconds, 1e-6), 1
            ),
        }
        left = self.at.seconds / self.at.epoch * (self.recipe.epochs - self.at.epoch)
        self.at.history.append(row)
        self.at.batch, self.at.loss_sum, self.at.photos = 0, 0.0, 0
        self._keep(row["balanced_accuracy"])
        emit("epoch", **row, seconds_left=round(left, 1))

    def _keep(self, balanced: float) -> None:
        last = self.at.epoch == self.recipe.epochs
        better = balanced > self.at.best
        self.at.best = max(self.at.best, balanced)
        if better if self.recipe.keep == "best" else last:
            self._save("best.pt")
        # An epoch on cached features takes a blink: its checkpoint would cost more than the epoch.
        if last or self.recipe.kind == "finetune" or time.monotonic() - self.saved > 1.0:
            self.save()

    def test(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Logits (n, c) and true labels (n,) of the test photos."""
        self.network.eval()
        logits, true = [], []
        with torch.inference_mode():
            for batch in self.source.test_batches():
                logits.append(self.network(self._moved(batch).inputs).float().cpu().numpy())
                true.append(batch.labels.numpy())
                if self.recipe.kind == "finetune" and self.stop:
                    self.save()  # the epoch's batches are done: a resumed run only tests again
                    self.stop.check()
        return np.concatenate(logits), np.concatenate(true)

    # --- checkpoints

    def save(self) -> None:
        self._save("checkpoint.pt", optimizer=self.optimizer.state_dict(), random=checkpoint.random_state())
        self.saved = time.monotonic()

    def _save(self, name: str, **more: Any) -> None:
        position = dict(vars(self.at))
        state = {key: value.contiguous() for key, value in self.network.state_dict().items()}
        checkpoint.save(
            self.out / name,
            {**self.identity, "recipe": self.recipe.as_dict(), "state": state, "position": position, **more},
        )

    def _resume(self) -> None:
        file = self.out / "checkpoint.pt"
        if not file.exists():
            return
        content = checkpoint.load(file)
        for key, now in {**self.identity, "recipe": self.recipe.as_dict()}.items():
            if content.get(key) != now:
                raise checkpoint.CheckpointError(
                    f"the checkpoint was written with other {key.replace('_', ' ')}",
                    hint="Start a new run: a run goes on only with the recipe and photos it began with.",
                )
        self.network.load_state_dict(content["state"])
        self.optimizer.load_state_dict(content["optimizer"])
        checkpoint.restore_random(content["random"])
        self.at = Position(**content["position"])


def _optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr)
    return torch.optim.AdamW(groups, lr=recipe.lr)
