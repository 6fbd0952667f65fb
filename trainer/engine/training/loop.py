"""The training loop: epochs over a source, with checkpoints, and the same result after any kill."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from formats.texts import Text, joined_texts
from trainer.engine.errors import NO_PHOTOS, LoaderDied, NotANumberError, PhotosError
from trainer.engine.evaluation import metrics
from trainer.engine.evaluation.report import peak_memory_mb
from trainer.engine.events import Stopped, StopRequest, emit
from trainer.engine.networks.finetuned import input_of
from trainer.engine.networks.parts import LabelLayer, device
from trainer.engine.networks.stages import Thaw
from trainer.engine.networks.synced import statistics, synchronise
from trainer.engine.photos.sources import Batch, PhotoSource, Source
from trainer.engine.recipe import Recipe, changed_settings
from trainer.engine.training import checkpoint
from trainer.engine.training.board import Board
from trainer.engine.training.criterion import Criterion
from trainer.engine.training.ema import averaged
from trainer.engine.training.extras import Extras
from trainer.engine.training.losses import label_weights, mean_loss
from trainer.engine.training.optimizer import build_optimizer, set_rate
from trainer.engine.training.precision import Precision
from trainer.engine.training.schedule import rate
from trainer.engine.training.stopper import reason_to_stop

# The time between checkpoints is 50 times what the last one took, so they take at most 2 % of the time.
CHECKPOINT_SHARE = 50
REPORT_SECONDS = 2.0  # between events inside an epoch
EXTRAS = "extras."  # begins the names of weights that only training needs
RELOADS = 3  # times that an epoch continues after a process that reads photos has died

Numbers = NDArray[Any]


@dataclass
class Position:
    """How far a run has come. With the weights this is enough to continue as if nothing had happened."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # batches done in the running epoch
    photos: int = 0  # photos of the running epoch that have been read
    learned: int = 0  # those among them that were in a step: a last batch of one photo is skipped
    right: int = 0  # those among these that were predicted right during training
    loss_sum: float = 0.0
    seconds: float = 0.0  # of the whole run
    best: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def memory(device: torch.device) -> dict[str, float | None]:
    """Peak memory in MB, of this process and on the GPU."""
    gpu = round(torch.cuda.max_memory_allocated(device) / 2**20) if device.type == "cuda" else None
    return {"memory_mb": round(peak_memory_mb()), "gpu_memory_mb": gpu}


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
        board: Board | None = None,
        extras: Extras | None = None,
        phase: str = "",
    ) -> None:
        """``phase``: tells epochs as progress of that name, because this is not the run's first training."""
        self.recipe, self.source, self.out, self.stop = recipe, source, out, stop
        self.identity, self.ranks = identity, source.ranks
        self.board = board or Board(out)
        self.device = device()
        self.network = network.to(self.device)
        self.precision = Precision(recipe, self.network, self.device)
        self.channels_last = recipe.kind == "finetune" and recipe.channels_last
        if self.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.extras, self.phase = (extras or Extras()).to(self.device), phase
        self.ranks.take_from_first(self.network, self.extras)
        if recipe.sync_batchnorm:
            synchronise(self.network, recipe.network)
        if not self.ranks.is_first:  # mixing and dropout are drawn by each process for its own photos
            torch.manual_seed(recipe.seed + self.ranks.number * 100_003)
        self.criterion = Criterion(recipe, self.extras, identity.get("scene_classes", ()))
        if recipe.weighted_loss and isinstance(source, PhotoSource):
            counts = torch.bincount(source.train_labels, minlength=len(identity["labels"]))
            self.criterion.label_weights = label_weights(counts, recipe.weighted_loss).to(self.device)
        self.optimizer = build_optimizer(recipe, self.network)
        if weights := list(self.extras.parameters()):
            self.optimizer.add_param_group({"params": weights, "weight_decay": recipe.weight_decay})
        self.thaw = Thaw(self.network[0], recipe.unfreeze)
        self.average = averaged(self.network, recipe.ema) if recipe.ema else None
        self.has_gradients = False  # of batches that have not made a step yet
        self.steps = math.ceil(source.train_count / recipe.batch_size)
        self.at = Position()
        self.last_save, self.save_seconds, self.last_report = time.monotonic(), 0.0, 0.0
        self.best: dict[str, Tensor] | None = None  # weights of the best epoch, until best.pt has them
        self.stopped_early: Text | None = None
        self.saved: tuple[int, int] | None = None  # epochs and batches that the newest checkpoint is after

    def run(self) -> None:
        """Train to the last epoch, from the checkpoint if there is one. Raises Stopped if asked to stop."""
        self._resume()
        if self.ranks.is_first:
            self.board.begin(self.recipe, self.step)
        while self.at.epoch < self.recipe.epochs and not self._reason_to_stop():
            self._train_epoch()
            self._end_epoch()
            if self.ranks.any(bool(self.stop)):
                self._save_and_stop()
        self.stopped_early = self._reason_to_stop() if self.at.epoch < self.recipe.epochs else None
        if self.stopped_early:
            emit(
                "stopped_early", epoch=self.at.epoch, best_epoch=self.at.best_epoch, reason=self.stopped_early
            )
        if self.recipe.keep == "last" or not self._has_best():
            self.best = _copy(self._state(self.judged))
        # No last checkpoint: a run killed from here on repeats what came after the previous one.
        self._save_best()

    @property
    def step(self) -> int:
        """The number of batches done since the run's start."""
        return self.at.epoch * self.steps + self.at.batch

    def _reason_to_stop(self) -> Text | None:
        return reason_to_stop(self.recipe, [row[self.recipe.stop_metric] for row in self.at.history])

    # --- one epoch

    def _train_epoch(self) -> None:
        started = time.monotonic()
        for attempt in range(RELOADS + 1):
            try:
                self._train_batches(started)
                break
            except LoaderDied as death:
                # Position and weights are those of the last complete batch: continue from there.
                if attempt == RELOADS:
                    raise
                if self.ranks.alone and self.stop:  # others ask at the next batch, all at once
                    self.at.seconds += time.monotonic() - started
                    self._save_and_stop()
                emit("reloading", reason=death.message)
        self.at.seconds += time.monotonic() - started

    def _train_batches(self, started: float) -> None:
        before = self.at.photos
        self.criterion.epoch = self.at.epoch
        for batch in self.source.batches(self.at.epoch, self.at.batch):
            count, too_few, is_to_stop = self.ranks.sums(
                len(batch.labels), len(batch.labels) < 2, bool(self.stop)
            )
            if is_to_stop:
                self.at.seconds += time.monotonic() - started
                self._save_and_stop()
            if not self.step and self.recipe.kind == "finetune" and len(batch.labels):
                self.board.training_photos(0, batch.inputs.numpy(), input_of(self.recipe))
            if not too_few:  # batch normalisation cannot learn from a single photo
                self._step(self._on_device(batch), int(count))
            self.at.photos += int(count)
            self.at.batch += 1
            # Not every batch has photos to learn from, so whether it ends a step is asked here.
            if self.has_gradients and self._first_of_step(self.at.batch) == self.at.batch:
                self._change_weights()
            if self.recipe.kind == "finetune":
                self._report_step(time.monotonic() - started, self.at.photos - before)
                self._save_if_due()

    def _first_of_step(self, batch: int) -> int:
        """The first of the batches that make one step with this one; behind an epoch's last batch, itself."""
        return batch if batch == self.steps else batch - batch % self.recipe.accumulate

    def _save_and_stop(self) -> NoReturn:
        self.save()
        raise Stopped

    def _report_step(self, seconds: float, photos: int) -> None:
        if time.monotonic() - self.last_report < REPORT_SECONDS:
            return
        self.last_report = time.monotonic()
        left = self.source.train_count * (self.recipe.epochs - self.at.epoch) - self.at.photos
        loss, lr = self.at.loss_sum / max(self.at.learned, 1), self.optimizer.param_groups[0]["lr"]
        self.board.step(self.step, loss=loss, lr=lr)
        seconds_left = round(seconds / max(photos, 1) * left, 1)
        if self.phase:
            self._tell_phase(seconds_left)
            return
        emit(
            "step",
            epoch=self.at.epoch + 1,
            step=self.step,
            steps=self.steps * self.recipe.epochs,
            loss=loss,
            lr=lr,
            photos_per_second=round(photos / max(seconds, 1e-6), 1),
            **memory(self.device),
            seconds_left=seconds_left,
        )

    def _tell_phase(self, seconds_left: float | None) -> None:
        steps = self.steps * self.recipe.epochs
        emit("progress", phase=self.phase, done=self.step, total=steps, seconds_left=seconds_left)

    def _step(self, batch: Batch, count: int) -> None:
        """Learn from this process's part of a batch of so many photos."""
        self.network.train()
        self.thaw.freeze(self.step / self.steps)
        set_rate(self.optimizer, self._lr())
        with self.precision.autocast():
            loss, right = self.criterion(self.network, batch, self._mix(len(batch.labels)))
        value, right_count = self._of_whole_batch(float(loss.detach()), int(right), len(batch.labels), count)
        if not math.isfinite(value):
            raise self._not_a_number(Text("the loss became %(value)s", value=value), self.step + 1)
        first = self._first_of_step(self.at.batch)
        behind = min(first + self.recipe.accumulate, self.steps)
        self._add_gradients(loss / (behind - first), len(batch.labels) / count)
        self.has_gradients = True
        self.at.loss_sum += value * count
        self.at.right += right_count
        self.at.learned += count

    def _of_whole_batch(self, loss: float, right: int, part: int, count: int) -> tuple[float, int]:
        """The mean loss and the right answers of the whole batch, from those of this process's part."""
        if self.ranks.alone:
            return loss, right
        loss_sum, all_right = self.ranks.sums(loss * part, right)
        return loss_sum / count, int(all_right)

    def _add_gradients(self, loss: Tensor, share: float) -> None:
        """Add the gradients of the whole batch, of which this process has a share, to those there are.

        They are added up over the processes at every batch, not only at a step, so that a checkpoint between
        two batches holds what all of them know.
        """
        if self.ranks.alone:
            self.precision.backward(loss)
            return
        weights = [weight for _, weight in self._parameters()]
        earlier = [weight.grad for weight in weights]
        for weight in weights:
            weight.grad = None
        self.precision.backward(loss * share)
        means = statistics(self.network)
        for mean in means:
            mean.mul_(share)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        self.ranks.add_up([*gradients, *means])
        for weight, gradient in zip(weights, earlier, strict=True):
            if gradient is not None:
                weight.grad = gradient if weight.grad is None else weight.grad + gradient

    def _change_weights(self) -> None:
        self.precision.step(self.optimizer)
        self.has_gradients = False
        if self.average:
            self.average.update_parameters(self.network)

    def _mix(self, count: int) -> tuple[Tensor, float] | None:
        if not self.recipe.mixup:
            return None
        alpha = torch.full((2,), self.recipe.mixup)
        share = float(torch._sample_dirichlet(alpha)[0])
        return torch.randperm(count).to(self.device), share

    def _lr(self) -> float:
        return rate(self.recipe, step=self.step, steps=self.steps)

    def _on_device(self, batch: Batch) -> Batch:
        inputs = batch.inputs.to(self.device, non_blocking=True)
        if inputs.ndim == 4 and self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        masks = None if batch.masks is None else batch.masks.to(self.device)
        taught = None if batch.taught is None else batch.taught.to(self.device)
        labels, scenes = batch.labels.to(self.device), batch.scenes.to(self.device)
        return Batch(inputs, labels, scenes, batch.places, masks, taught)

    def _end_epoch(self) -> None:
        if not self.at.photos:
            raise PhotosError(Text("none of the training photos can be decoded"), hint=NO_PHOTOS)
        start = time.monotonic()
        lr = self.optimizer.param_groups[0]["lr"]  # the whole rate: the first groups are the head's
        figures = self._held_out_figures()
        self._check_numbers(figures)
        self.at.seconds += time.monotonic() - start
        self.at.epoch += 1
        before = self.at.history[-1].get("total_seconds", 0.0) if self.at.history else 0.0
        seconds = max(self.at.seconds - before, 1e-6)
        learned = max(self.at.learned, 1)
        row = {
            "epoch": self.at.epoch,
            "epochs": self.recipe.epochs,
            "loss": self.at.loss_sum / learned,
            "train_accuracy": self.at.right / learned,
            **figures,
            "lr": lr,
            "photos_per_second": round(self.source.train_count / seconds, 1),
            "seconds": round(seconds, 3),
            "total_seconds": round(self.at.seconds, 3),
            **memory(self.device),
        }
        self.at.history.append(row)
        self.at.batch, self.at.photos, self.at.learned, self.at.right, self.at.loss_sum = 0, 0, 0, 0, 0.0
        self._remember_best(row)
        self.board.epoch(self.step, row)
        self._save_if_due()
        left = self.at.seconds / self.at.epoch * (self.recipe.epochs - self.at.epoch)
        if self.phase:
            self._tell_phase(round(left, 1))
        else:
            emit("epoch", **row, seconds_left=round(left, 1))

    def _held_out_figures(self) -> dict[str, float | None]:
        """The figures of the epoch that ends, on the held-out photos; all None unless it is to be tested."""
        number = self.at.epoch + 1
        if number % self.recipe.test_every and number != self.recipe.epochs:
            return dict.fromkeys(("test_loss", "accuracy", "balanced_accuracy"))
        logits, true = self.test()
        matrix = metrics.confusion(true, logits.argmax(1), len(self.identity["labels"]))
        return {
            "test_loss": float(mean_loss(self.recipe.loss, torch.from_numpy(logits), torch.from_numpy(true))),
            "accuracy": metrics.accuracy(matrix),
            "balanced_accuracy": metrics.balanced_accuracy(matrix),
        }

    def _remember_best(self, row: dict[str, Any]) -> None:
        value = row[self.recipe.stop_metric]
        if value is not None and value > self.at.best:
            self.at.best = value
            self.at.best_epoch = row["epoch"]
            if self.recipe.keep == "best":
                self.best = _copy(self._state(self.judged))

    @property
    def judged(self) -> nn.Module:
        """The network that is tested and kept: the average, if the recipe asks for one."""
        return self.network if self.average is None else self.average.module

    def test(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Logits (n, c) and true labels (n,) of the test photos."""
        return self.predict(self.source.test_batches())

    def predict(self, batches: Iterator[Batch]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Logits (n, c) and true labels (n,) of the batches' photos."""
        network = self.judged
        network.eval()
        logits, true, places = [], [], []
        with torch.inference_mode():
            for batch in batches:
                if len(batch.labels):
                    logits.append(network(self._on_device(batch).inputs).float().cpu().numpy())
                    true.append(batch.labels.numpy())
                    places += batch.places
                if self.recipe.kind == "finetune" and self.ranks.any(bool(self.stop)):
                    self._save_and_stop()  # the epoch's batches are done: a resumed run only tests again
        if not self.ranks.alone:
            logits, true = self._of_all(places, logits, true)
        if not (logits and true):
            raise PhotosError(Text("none of the test photos can be decoded"), hint=NO_PHOTOS)
        rows = np.concatenate(logits)
        if not np.isfinite(rows).all():
            raise self._not_a_number(
                Text("the network's answers to test photos are no finite numbers"), self.step
            )
        return rows, np.concatenate(true)

    def _of_all(
        self, places: list[int], logits: list[Numbers], true: list[Numbers]
    ) -> tuple[list[Numbers], list[Numbers]]:
        """What all processes found out about their photos, in the order of places: each photo once."""
        parts = self.ranks.gather((places, logits, true))
        order = np.argsort(np.concatenate([np.array(part[0], int) for part in parts]), kind="stable")
        rows, labels = ([one for part in parts for one in part[at]] for at in (1, 2))
        if not rows:
            return [], []
        return [np.concatenate(rows)[order]], [np.concatenate(labels)[order]]

    def outputs(self, batches: Iterator[Batch]) -> Iterator[tuple[Tensor, Batch]]:
        """The batches, each with what the network gives its label layer (n, …)."""
        self.network.eval()
        for batch in batches:
            self.stop.check()
            if not len(batch.labels):
                continue
            on_device = self._on_device(batch)
            with torch.inference_mode():
                yield self.network[0](on_device.inputs).float(), on_device

    def test_outputs(self) -> Iterator[tuple[Tensor, Batch]]:
        return self.outputs(self.source.test_batches())

    def answers(self, batches: Iterator[Batch]) -> tuple[Numbers, Numbers | None]:
        """Logits of the batches' photos: of labels (n, c), and of scene classes (n, k) or None."""
        logits, scenes = [], []
        levels, labels = self.extras.levels, cast(LabelLayer, self.network[-1])
        for outputs, _ in self.outputs(batches):
            logits.append(labels(outputs).cpu().numpy())
            if levels is not None:
                scenes.append(levels.scenes(outputs).cpu().numpy())
            elif labels.groups is not None:
                scenes.append(outputs.cpu().numpy())
        if not logits:
            return np.empty((0, len(labels.shift))), None
        return np.concatenate(logits), np.concatenate(scenes) if scenes else None

    # --- numbers that are none

    def _check_numbers(self, figures: Mapping[str, float | None]) -> None:
        """Raise NotANumberError unless the figures of an epoch and all that a checkpoint holds are finite."""
        for name, value in figures.items():
            if value is not None and not math.isfinite(value):
                raise self._not_a_number(Text("%(name)s became %(value)s", name=name, value=value), self.step)
        for name, tensor in self._state().items():
            if not torch.isfinite(tensor).all():
                raise self._not_a_number(
                    Text("the weights %(name)s are no finite numbers", name=name), self.step
                )
        for state in self.optimizer.state.values():
            for name, part in state.items():
                if isinstance(part, Tensor) and not torch.isfinite(part).all():
                    raise self._not_a_number(
                        Text("the optimizer's %(name)s holds no finite numbers", name=name), self.step
                    )

    def _not_a_number(self, words: str, step: int) -> NotANumberError:
        epoch = max(0, step - 1) // max(1, self.steps) + 1
        last = Text("there is no checkpoint")
        if self.saved:
            epochs, batches = self.saved
            last = Text("the last good checkpoint was written after epoch %(epoch)s", epoch=epochs)
            if batches:
                last = Text(
                    "the last good checkpoint was written after epoch %(epoch)s and %(n)s batches more",
                    epoch=epochs,
                    n=batches,
                )
        return NotANumberError(
            Text(
                "%(words)s in epoch %(epoch)s, step %(step)s; %(last)s",
                words=words,
                epoch=epoch,
                step=step,
                last=last,
            ),
            hint=Text("Start another run with a lower learning rate than %(lr)s.", lr=f"{self.recipe.lr:g}"),
        )

    # --- checkpoints

    def save(self) -> None:
        """Write best.pt if it is due, then checkpoint.pt. A run killed between them finds the same best
        epoch.
        """
        started = time.monotonic()
        self._check_numbers({})
        self._save_best()
        random = self.ranks.gather(checkpoint.random_state())
        size = 0
        if self.ranks.is_first:
            content = self._content(_copy(self._state())) | self._unfinished(random)
            size = checkpoint.save_latest(self.out, content).stat().st_size
        self.saved = self.at.epoch, self.at.batch
        self.last_save = time.monotonic()
        self.save_seconds = self.last_save - started
        emit(
            "saved",
            epoch=self.at.epoch,
            batch=self.at.batch,
            seconds=round(self.save_seconds, 3),
            bytes=size,
        )

    def _save_best(self) -> None:
        if self.best is not None and self.ranks.is_first:
            checkpoint.save(self.out / "best.pt", self._content(self.best))
        self.best = None

    def _save_if_due(self) -> None:
        # The first checkpoint comes after one batch: it shows whether there is room and how long saving
        # takes.
        is_due = time.monotonic() - self.last_save > CHECKPOINT_SHARE * self.save_seconds
        if self.ranks.any(is_due or not self.save_seconds):
            self.save()

    def _state(self, network: nn.Module | None = None) -> dict[str, Tensor]:
        """The weights of the network, and under EXTRAS those that only training needs."""
        extras = {EXTRAS + key: value for key, value in self.extras.state_dict().items()}
        return {**(network or self.network).state_dict(), **extras}

    def _parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All that learns, by the names of ``_state``."""
        yield from self.network.named_parameters()
        yield from ((EXTRAS + name, weight) for name, weight in self.extras.named_parameters())

    def _unfinished(self, random: list[dict[str, Tensor]]) -> dict[str, Any]:
        """What only a training that goes on needs, beside its weights. ``random``: each process's state."""
        content: dict[str, Any] = {
            "optimizer": self.optimizer.state_dict(),
            "random": random[0],
            "random_of_others": random[1:],
            "scaler": self.precision.scaler.state_dict(),
        }
        if self.average:
            content["average"] = _copy(self.average.state_dict())
        if self.has_gradients:
            content["gradients"] = _copy(
                {name: p.grad for name, p in self._parameters() if p.grad is not None}
            )
        return content

    def _take_up(self, content: dict[str, Any]) -> None:
        """Be where the training was that wrote the checkpoint's content."""
        self._load_weights(content)
        self.optimizer.load_state_dict(content["optimizer"])
        self.precision.scaler.load_state_dict(content.get("scaler", {}))  # an older version's has none
        if self.average and "average" in content:
            self.average.load_state_dict(content["average"])
        else:
            self.average = None  # saved after `load`: the weights are those that are judged
        gradients = content.get("gradients", {})
        self.has_gradients = bool(gradients)
        for name, weight in self._parameters():
            if name in gradients:
                weight.grad = torch.empty_like(weight).copy_(gradients[name])
        checkpoint.restore_random(
            [content["random"], *content.get("random_of_others", [])][self.ranks.number]
        )

    def _has_best(self) -> bool:
        return self.best is not None or (self.out / "best.pt").exists()

    def _content(self, weights: dict[str, Tensor]) -> dict[str, Any]:
        facts = {**self.identity, "recipe": self.recipe.as_dict()}
        state = {key: value for key, value in weights.items() if not key.startswith(EXTRAS)}
        extras = {key: value for key, value in weights.items() if key.startswith(EXTRAS)}
        return {**facts, "state": state, "extras": extras, "position": dict(vars(self.at))}

    def load(self, content: dict[str, Any]) -> None:
        """Take the weights of best.pt's content, to be judged as they are."""
        self._load_weights(content)
        self.average = None

    def _load_weights(self, content: dict[str, Any]) -> None:
        self.network.load_state_dict(content["state"])
        extras = content.get("extras", {})  # an older version's has none
        self.extras.load_state_dict({key.removeprefix(EXTRAS): value for key, value in extras.items()})

    def _resume(self) -> None:
        if not self.ranks.from_first(lambda: checkpoint.exists(self.out)):
            return
        content = self.ranks.from_first(lambda: checkpoint.latest(self.out))
        changes = changed_settings(content["recipe"], self.recipe)
        for key, now in self.identity.items():
            if content.get(key) != now:
                changes.append(_changed_names(key.replace("_", " "), content.get(key) or [], now))
        if changes:
            raise checkpoint.CheckpointError(
                Text(
                    "the checkpoint was written with another recipe or other photos: %(changes)s",
                    changes=joined_texts(*changes, by="; "),
                ),
                hint=Text("Start a new run: a run continues only with the recipe and photos it began with."),
            )
        self._take_up(content)
        self.at = Position(**content["position"])
        self.saved = self.at.epoch, self.at.batch
        if not self.phase:
            self.tell_epochs()  # the supervisor may have been killed before it stored them

    def tell_epochs(self) -> None:
        for row in self.at.history:
            emit("epoch", **row, seconds_left=None)


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Training continues to change the network's own."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}


def _changed_names(key: str, old: Sequence[Any], new: Sequence[Any]) -> Text:
    """In words, which names of this key are new or gone."""
    gone, added = (
        ", ".join([str(x) for x in one if x not in other][:5]) for one, other in ((old, new), (new, old))
    )
    what = Text("they stand for others")
    if gone and added:
        what = Text("%(gone)s is gone and %(added)s is new", gone=gone, added=added)
    elif gone:
        what = Text("%(gone)s is gone", gone=gone)
    elif added:
        what = Text("%(added)s is new", added=added)
    counts = {"before": len(old), "now": len(new)}
    return Text("%(key)s: %(what)s (%(before)s then, %(now)s now)", key=key, what=what, **counts)
