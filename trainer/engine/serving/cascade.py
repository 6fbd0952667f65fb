"""Joins a fast and an accurate model into one folder: see trainer.engine.evaluation.cascade."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from formats.json_text import from_json
from formats.storage import raise_if_of_storage, replacing_path
from formats.texts import Text
from trainer.engine.errors import ExportError
from trainer.engine.evaluation.cascade import Judged, Limits, choose_limits, cross_fit
from trainer.engine.evaluation.report import write_json
from trainer.engine.manifests import joint_sha256, read_manifest
from trainer.engine.serving.heldout import (
    PREDICTIONS,
    REPORT,
    HeldOut,
    require_finished,
    require_share,
)

SAME_RELEASE = Text("Train both on the same release and photo set.")


def choose(fast_run: Path, accurate_run: Path, *, target: float, cost: float) -> dict[str, Any]:
    """The limits of a cascade and its figures, from the test photos that both runs have judged.

    ``cost`` is that of the fast model's answer, where the accurate one's is 1. Raises ExportError.
    """
    require_share(target)
    judged = _judged(fast_run, accurate_run)
    return asdict(choose_limits(judged, target)) | {"held_out": cross_fit(judged, target, cost=cost)}


def read_limits(file: Path) -> dict[str, Any]:
    """The limits that ``choose`` found. Raises ExportError if the file does not hold any."""
    try:
        limits = from_json(file.read_text(encoding="utf-8"))
        Limits(float(limits["temperature"]), dict(limits["thresholds"]), float(limits["silent_below"]))
        float(limits["held_out"]["cost"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise_if_of_storage(error)
        hint = Text("`python -m trainer.engine limits` writes such a file.")
        raise ExportError(
            Text("%(file)s does not hold the limits of a cascade: %(error)s", file=file.name, error=error),
            hint=hint,
        ) from error
    result: dict[str, Any] = limits
    return result


def join(fast_dir: Path, accurate_dir: Path, limits: dict[str, Any], model_dir: Path) -> dict[str, Any]:
    """Make one model folder of two, with the limits of ``choose``; returns its manifest. Raises ExportError,
    and ModelError if either is no model.

    It is the accurate model's folder, with the fast network as first.onnx, and without the accurate model's
    accuracy and promise: nobody measured those of both.
    """
    fast, accurate = (read_manifest(folder) for folder in (fast_dir, accurate_dir))
    if "cascade" in fast or "cascade" in accurate:
        raise ExportError(
            Text("one of the two models is a cascade itself"), hint=Text("Join two single models.")
        )
    if fast["labels"] != accurate["labels"]:
        raise ExportError(Text("the two models have different labels"), hint=SAME_RELEASE)
    for folder, name in ((fast_dir, "first.onnx"), (accurate_dir, "model.onnx")):
        with replacing_path(model_dir / name) as part:
            shutil.copyfile(folder / "model.onnx", part)
    facts = {key: value for key, value in limits.items() if key != "held_out"}
    cascade = facts | {key: fast[key] for key in ("input", "scenes", "sha256") if key in fast}
    figures = limits["held_out"]
    manifest: dict[str, Any] = accurate | {
        "cascade": cascade,
        "metrics": {},
        "held_out": figures,
        "milliseconds": round(figures["cost"] * accurate["milliseconds"], 1),
        "sha256": joint_sha256(accurate["sha256"], fast["sha256"]),
    }
    manifest.pop("promise", None)
    write_json(model_dir / "manifest.json", manifest)
    return manifest


def _judged(fast_run: Path, accurate_run: Path) -> Judged:
    for run in (fast_run, accurate_run):
        require_finished(run, REPORT, PREDICTIONS)
    labels, theirs = (
        json.loads((run / REPORT).read_text(encoding="utf-8"))["labels"] for run in (fast_run, accurate_run)
    )
    if labels != theirs:
        raise ExportError(Text("the two runs have different labels"), hint=SAME_RELEASE)
    fast, accurate = (HeldOut.read(run / PREDICTIONS, labels) for run in (fast_run, accurate_run))
    place = {path: at for at, path in enumerate(fast.paths)}
    common = [(place[path], at) for at, path in enumerate(accurate.paths) if path in place]
    if not common:
        raise ExportError(
            Text("no photo was held out by both runs"), hint=Text("Train both with the same split and seed.")
        )
    of_fast, of_accurate = (np.array(side) for side in zip(*common, strict=True))
    return Judged(fast.logits[of_fast], accurate.logits[of_accurate], accurate.true[of_accurate], labels)
