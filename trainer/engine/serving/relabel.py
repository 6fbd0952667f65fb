"""Gives a model that tells scene classes the labels of another mapping, without training.

A label's probability is the sum of its scene classes', so another mapping only needs other sums. Temperature,
thresholds and promise are fitted again on the held-out photos with their new labels, from what
the network said about their scene classes (scenes.npz). Imports no torch.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, utils

from formats.classes import OTHER, is_beside_classes, label_in
from formats.json_text import from_json
from formats.storage import raise_if_of_storage, replacing_path
from formats.texts import Text
from trainer.engine.errors import ExportError
from trainer.engine.evaluation import metrics, promise
from trainer.engine.evaluation.calibrate import NO_LEAST, answer_figures, calibrate, cross_fit, suggestions
from trainer.engine.evaluation.checks import check_facts
from trainer.engine.evaluation.report import softmax, write_json
from trainer.engine.evaluation.scenes import SCENES, SceneAnswers, refusal, take_along
from trainer.engine.events import Progress
from trainer.engine.manifests import read_manifest
from trainer.engine.recipe import Recipe

TOLERANCE = 1e-4  # of a probability, between the file and the same sums by NumPy
CHECKED_PHOTOS = 8
SMALLEST = 1e-12  # a probability's floor before its logarithm, as in LabelLayer
# A threshold is the confidence of a held-out photo, which scenes.npz has rounded.
ROUNDING = 0.0005
UNKNOWN = -1  # the label of a class that the mapping leaves out
TRAIN_AGAIN = Text("Train a network on the new labels.")
# Of the old manifest, what stays true.
KEPT = ("format", "target_precision", "recipe", "input", "scenes", "milliseconds")


@dataclass(frozen=True)
class Sums:
    """How labels follow from scene classes: logits = log(probabilities (n, k) · member (k, c)) + shift (c,).

    ``of_scene`` (k,) is each class's label, as an index; UNKNOWN for one that the mapping leaves out, whose
    probability counts for ``other``: nothing is suggested for it.
    """

    labels: list[str]
    of_scene: NDArray[np.int64]
    member: NDArray[np.float32]
    shift: NDArray[np.float32]

    @classmethod
    def by(cls, names: Sequence[str | None], trained: NDArray[np.int64], balance: float) -> Sums:
        """From each scene class's label, or None. ``trained`` (k,) counts the training photos of each, and
        ``balance`` is the recipe's: see LabelLayer.
        """
        known = {name or OTHER for name in names}
        labels = sorted(known - {OTHER}) + [OTHER] * (OTHER in known)
        counted = np.array([labels.index(name or OTHER) for name in names])
        of_scene = np.where([name is None for name in names], UNKNOWN, counted)
        member = np.zeros((len(names), len(labels)), np.float32)
        member[np.arange(len(names)), counted] = 1.0
        share = np.maximum(trained @ member, 1.0).astype(np.float64)
        shift = (-balance * np.log(share / share.sum())).astype(np.float32)
        return cls(labels, of_scene, member, shift)

    def logits(self, logs: NDArray[Any]) -> NDArray[np.float64]:
        """(n, c), of log-probabilities (n, k) of scene classes."""
        shares = np.exp(logs.astype(np.float64)) @ self.member
        rows: NDArray[np.float64] = np.log(np.maximum(shares, SMALLEST)) + self.shift
        return rows

    def names(self) -> list[str]:
        """Each scene class's label; ``other`` for one that the mapping leaves out."""
        return [self.labels[int(at)] for at in self.member.argmax(1)]


def relabel(
    model_dir: Path, labels: Mapping[str, str], new_dir: Path, *, least: Mapping[str, float] = NO_LEAST
) -> dict[str, Any]:
    """Make a model folder whose labels are those of ``labels`` (scene class → label); returns its manifest.
    No threshold is below ``least`` (hashtag → threshold), also in the figures.

    Raises ExportError if the model tells no scene classes or knows none of these, ModelError if the folder is
    no model, RecipeError and StorageFailure.
    """
    if model_dir.resolve() == new_dir.resolve():
        raise ExportError(Text("the new model would replace the old one"), hint=Text("Give another folder."))
    progress = Progress("relabel", 3)
    old = read_manifest(model_dir)
    scenes = _scenes_of(old)
    answers = SceneAnswers.read(model_dir / SCENES, scenes)
    balance = Recipe.from_dict(old["recipe"]).balance
    sums = Sums.by(_new_names(scenes, labels), answers.trained, balance)
    if len(sums.labels) < 2:
        raise ExportError(
            Text("all of its scene classes have the label %(label)s", label=sums.labels[0]),
            hint=Text("Map one of its scene classes to another label."),
        )
    known = sums.of_scene[answers.true] != UNKNOWN
    if not known.any():
        raise ExportError(
            Text("none of its held-out photos has a label in the new mapping"), hint=TRAIN_AGAIN
        )
    progress.advance()
    facts = _fit(old, sums, answers, known, least)
    progress.advance()
    with replacing_path(new_dir / "model.onnx") as part:
        _write_network(model_dir / "model.onnx", sums, part)
        difference = _difference(part, sums, int(old["input"]["size"]))
        if not difference < TOLERANCE:
            raise ExportError(
                Text(
                    "the file's sums differ by %(difference)s in a probability; the limit is %(tolerance)s",
                    difference=f"{difference:.2g}",
                    tolerance=f"{TOLERANCE:g}",
                ),
                hint=Text("Nothing was written. Please report this."),
            )
        manifest: dict[str, Any] = {
            **{key: old[key] for key in KEPT if key in old},
            **facts,
            **take_along(model_dir, new_dir),
            "scene_labels": sums.names(),
            "max_abs_difference": difference,
            "checked_photos": CHECKED_PHOTOS,
            "sha256": hashlib.sha256(part.read_bytes()).hexdigest(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "relabelled": _changes(old, scenes, sums) | _beside(old, sums, answers, known, facts, balance),
        }
    write_json(new_dir / "manifest.json", manifest)
    progress.advance()
    return manifest


def read_least(file: Path) -> dict[str, float]:
    """Hashtag → the least threshold, of a JSON file. Raises ExportError."""
    try:
        return {
            str(name): float(value) for name, value in from_json(file.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise_if_of_storage(error)
        hint = Text('Write one such as {"beach": 0.7}; above 1 means never.')
        raise ExportError(
            Text("%(file)s does not hold thresholds by hashtag: %(error)s", file=file.name, error=error),
            hint=hint,
        ) from error


def _scenes_of(manifest: Mapping[str, Any]) -> list[str]:
    if reason := refusal(manifest):
        raise ExportError(Text("the model cannot be relabelled: %(reason)s", reason=reason), hint=TRAIN_AGAIN)
    scenes: list[str] = manifest["scenes"]
    return scenes


def _new_names(scenes: Sequence[str], labels: Mapping[str, str]) -> list[str | None]:
    """The new label of each scene class, and of each folder beside them (formats.classes)."""
    return [label_in(labels, None if is_beside_classes(scene) else scene, scene) for scene in scenes]


def _fit(
    old: Mapping[str, Any],
    sums: Sums,
    answers: SceneAnswers,
    known: NDArray[np.bool_],
    least: Mapping[str, float],
) -> dict[str, Any]:
    """Temperature, thresholds, promise and figures, on held-out photos that have a new label."""
    logits, true = sums.logits(answers.logs[known]), sums.of_scene[answers.true[known]]
    target, kind = float(old["target_precision"]), old.get("promise", {}).get("kind", "none")
    calibration = calibrate(logits, true, sums.labels, target, kind=kind, least=least)
    probabilities = softmax(logits)
    matrix = metrics.confusion(true, probabilities.argmax(1).astype(np.int64), len(sums.labels))
    facts: dict[str, Any] = {
        "labels": sums.labels,
        "temperature": calibration.temperature,
        "thresholds": calibration.thresholds,
        "held_out": cross_fit(logits, true, sums.labels, target, kind=kind, least=least),
        "checks": check_facts(softmax(logits, calibration.temperature), true, sums.labels),
        "metrics": {
            "accuracy": metrics.accuracy(matrix),
            "balanced_accuracy": metrics.balanced_accuracy(matrix),
            "precision_at_coverage": metrics.precision_at_coverage(probabilities, true, sums.labels),
            "train_photos": int(answers.trained[sums.of_scene != UNKNOWN].sum()),
            "test_photos": len(true),
        },
    }
    if kind != "none":
        groups = [group.as_dict() for group in calibration.groups]
        facts["promise"] = {"kind": kind, "confidence": promise.CONFIDENCE, "groups": groups}
    return facts


def _changes(old: Mapping[str, Any], scenes: Sequence[str], sums: Sums) -> dict[str, Any]:
    """The scene classes that move, as [class, before, after], and those that the mapping leaves out."""
    pairs = zip(scenes, old["scene_labels"], sums.names(), strict=True)
    return {
        "moves": [[scene, before, after] for scene, before, after in pairs if before != after],
        "left_out": [scene for scene, at in zip(scenes, sums.of_scene, strict=True) if at == UNKNOWN],
        "new_labels": sorted(set(sums.labels) - set(old["labels"])),
        "lost_labels": sorted(set(old["labels"]) - set(sums.labels)),
    }


def _beside(
    old: Mapping[str, Any],
    sums: Sums,
    answers: SceneAnswers,
    known: NDArray[np.bool_],
    facts: Mapping[str, Any],
    balance: float,
) -> dict[str, Any]:
    """The old model on the same held-out photos, judged by their new labels, and how many get another answer.

    Both models answer as they are shipped; the cross-fitted figures of the new one stand in ``held_out``.
    """
    before = Sums.by(old["scene_labels"], answers.trained, balance)
    logs, true = answers.logs[known], sums.of_scene[answers.true[known]]
    new_answers = _names(sums.logits(logs), sums.labels, facts)
    shipped = {label: threshold - ROUNDING for label, threshold in old["thresholds"].items()}
    old_answers = _names(before.logits(logs), before.labels, {**old, "thresholds": shipped})
    place = {label: at for at, label in enumerate(sums.labels)}
    # A hashtag that no scene class has any more is an answer, and is never right.
    indices = np.array([-1 if name is None else place.get(name, len(place)) for name in old_answers])
    figures = answer_figures(indices.astype(np.int64), true, sums.labels)
    pairs = list(zip(old_answers, new_answers, strict=True))
    return {
        "old_model": figures,
        "changed": sum(one != other for one, other in pairs),
        "lost": sum(other is None and one is not None for one, other in pairs),
        "gained": sum(one is None and other is not None for one, other in pairs),
        "photos": len(pairs),
    }


def _names(logits: NDArray[np.float64], labels: Sequence[str], facts: Mapping[str, Any]) -> list[str | None]:
    """The hashtag suggested for each photo, or None."""
    indices = suggestions(softmax(logits, facts["temperature"]), labels, facts["thresholds"])
    return [labels[at] if at >= 0 else None for at in indices.tolist()]


# --- the network


def _write_network(source: Path, sums: Sums, target: Path) -> None:
    """Write the network up to its scene classes, its second output, followed by the new sums in float32."""
    model = onnx.load(source)
    scenes = model.graph.output[1]
    network = utils.Extractor(model).extract_model(["photos"], [scenes.name])
    constants = {
        "relabel.member": sums.member,
        "relabel.least": np.array(SMALLEST, np.float32),
        "relabel.shift": sums.shift,
    }
    nodes = [
        helper.make_node("Softmax", [scenes.name], ["relabel.shares"], axis=1),
        helper.make_node("MatMul", ["relabel.shares", "relabel.member"], ["relabel.sums"]),
        helper.make_node("Max", ["relabel.sums", "relabel.least"], ["relabel.kept"]),
        helper.make_node("Log", ["relabel.kept"], ["relabel.logs"]),
        helper.make_node("Add", ["relabel.logs", "relabel.shift"], ["logits"]),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(sums.labels)])
    network.graph.node.extend(nodes)
    network.graph.initializer.extend(numpy_helper.from_array(x, name) for name, x in constants.items())
    del network.graph.output[:]
    network.graph.output.extend([logits, scenes])
    onnx.save(network, target)


def _difference(file: Path, sums: Sums, size: int) -> float:
    """The largest difference of a probability between the file's labels and the sums of its scene classes."""
    from scipy.special import log_softmax

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(CHECKED_PHOTOS):
        photo = rng.normal(size=(1, 3, size, size)).astype(np.float32)
        logits, scenes = session.run(None, {"photos": photo})
        ours = softmax(sums.logits(log_softmax(scenes.astype(np.float64), axis=1)))
        gaps.append(np.abs(softmax(logits) - ours).max())
    return float(max(gaps))
