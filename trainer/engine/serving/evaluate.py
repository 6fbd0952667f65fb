"""Measures an exported model on labelled photos. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from formats.storage import common_folder, require_content
from formats.texts import Text
from trainer.engine.errors import NO_PHOTOS, NotANumberError, PhotosError
from trainer.engine.evaluation import metrics
from trainer.engine.evaluation.calibrate import suggestions
from trainer.engine.photos.manifest import read_manifest
from trainer.engine.serving.predict import NO_NUMBER, Suggester


def evaluate(model_dir: Path, manifest: Path) -> dict[str, Any]:
    """Accuracy, balanced accuracy, and precision and coverage at the model's own thresholds."""
    model = Suggester(model_dir, threads=None)
    photos = [photo for photo in read_manifest(manifest) if photo.label in model.labels]
    root = common_folder(photo.path for photo in photos)
    rows, true = [], []
    for photo, suggestion in zip(photos, model.suggest(p.path for p in photos), strict=True):
        if suggestion.probabilities:
            rows.append([suggestion.probabilities[label] for label in model.labels])
            true.append(model.labels.index(photo.label))
        elif suggestion.reason == NO_NUMBER:
            raise NotANumberError(
                Text("the model gives no finite numbers for %(path)s", path=photo.path),
                hint=Text("Train it again."),
            )
        elif root:
            require_content(root)
    if not rows:
        raise PhotosError(
            Text("none of the photos with one of the model's labels can be read"), hint=NO_PHOTOS
        )
    probabilities, answers = np.array(rows), np.array(true, dtype=np.int64)
    matrix = metrics.confusion(answers, probabilities.argmax(1).astype(np.int64), len(model.labels))
    indices = suggestions(probabilities, model.labels, model.thresholds)
    has_answer = indices >= 0
    return {
        "photos": len(answers),
        "accuracy": metrics.accuracy(matrix),
        "balanced_accuracy": metrics.balanced_accuracy(matrix),
        "coverage": float(has_answer.mean()),
        "precision": float((indices == answers)[has_answer].mean()) if has_answer.any() else None,
        "precision_at_coverage": metrics.precision_at_coverage(probabilities, answers, model.labels),
    }
