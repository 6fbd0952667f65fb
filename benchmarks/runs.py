"""The pages of 1,000 training runs: list, run, study, comparison, over real HTTP.

    python -m benchmarks.runs [--runs 1000] [--requests 30]

Starts `manage.py up --demo` in a new folder and adds finished runs as the engine stores them: 40 epochs each,
reports on 21 labels, the results on 4,000 test photos as bits, and for every 50th run one row per photo as
well. Ratios are relative to /health/, an empty page. Targets at p95: comparison 1 s, the others 200 ms.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mapping import show
from benchmarks.site import ROOT, Site, times

PHOTOS, TEST, EPOCHS = 20_000, 4_000, 40


def seed(runs: int) -> None:
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from jobs.models import Job
    from mapping.models import Release, SceneClass
    from trainer.engine.presets import PRESETS
    from trainer.models import Epoch, HeldOutPrediction, PhotoSet, ScenePhoto, TestSet, TrainingRun

    rng = np.random.default_rng(0)
    release = Release.objects.order_by("number")[0]
    label_of = dict(release.labels.values_list("scene_key", "label"))
    classes = list(SceneClass.objects.all())
    photo_set = PhotoSet.objects.create(name="Made up", source="/nowhere", root="/nowhere")
    photos = ScenePhoto.objects.bulk_create(
        ScenePhoto(
            photo_set=photo_set,
            scene_class=classes[n % len(classes)],
            path=f"{classes[n % len(classes)].key}/{n}.jpg",
            sha256=hashlib.sha256(str(n).encode()).hexdigest(),
            width=256,
            height=256,
        )
        for n in range(PHOTOS)
    )
    sets = []
    for start in (0, TEST):
        held_out = sorted(photos[start : start + TEST], key=lambda photo: photo.sha256)
        keys = np.array([int(photo.sha256[:16], 16) for photo in held_out], np.uint64).tobytes()
        digest = hashlib.sha256(keys).hexdigest()
        sets.append((TestSet.objects.create(digest=digest, photos=TEST, keys=keys), held_out))
    labels = [*sorted(set(label_of.values()) - {"other"}), "other"]
    presets = list(PRESETS.values())
    by, now = get_user_model().objects.first(), timezone.now()
    for n in range(runs):
        preset, (test_set, held_out) = presets[n % len(presets)], sets[n % 10 == 0]
        accuracy = float(rng.uniform(0.6, 0.9))
        right = rng.random(TEST) < accuracy
        job = Job.objects.create(
            kind="trainer.train", title=f"Train {n}", state="succeeded", started_at=now, finished_at=now
        )
        run = TrainingRun.objects.create(
            name=f"Made up, {preset.title}, {n}",
            photo_set=photo_set,
            release=release,
            preset=preset.name,
            recipe=replace(preset.recipe, seed=n, lr=preset.recipe.lr * (1 + n % 3)).as_dict(),
            job=job,
            report=report(rng, labels, label_of, accuracy),
            accuracy=accuracy,
            balanced_accuracy=accuracy - 0.05,
            created_by=by,
            test_set=test_set,
            right=np.packbits(right).tobytes(),
            code_version="0123456",
        )
        Job.objects.filter(pk=job.pk).update(url=run.get_absolute_url())
        Epoch.objects.bulk_create(
            Epoch(
                run=run,
                number=e,
                loss=2 / e,
                test_loss=2.2 / e,
                accuracy=accuracy * (1 - 0.5 / e),
                balanced_accuracy=accuracy * (1 - 0.6 / e),
                train_accuracy=min(1.0, accuracy * (1 - 0.4 / e) + 0.05),
                lr=0.01,
                photos_per_second=400,
                seconds=12,
                memory_mb=1200,
            )
            for e in range(1, EPOCHS + 1)
        )
        if n % 50 == 49 or n == runs - 1:
            truth = [label_of[photo.scene_class.key] for photo in held_out if photo.scene_class]
            HeldOutPrediction.objects.bulk_create(
                HeldOutPrediction(
                    run=run,
                    photo=photo,
                    true=true,
                    predicted=true if good else labels[at % len(labels)],
                    confidence=float(rng.random()),
                )
                for at, (photo, true, good) in enumerate(zip(held_out, truth, right, strict=True))
            )


def report(
    rng: np.random.Generator, labels: list[str], label_of: dict[str, str], accuracy: float
) -> dict[str, Any]:
    count = len(labels)
    matrix = rng.integers(0, 12, (count, count)) + np.diag(rng.integers(60, 200, count))
    thresholds = {label: round(float(rng.random()), 6) for label in labels[:-1]}
    return {
        "labels": labels,
        "accuracy": accuracy,
        "balanced_accuracy": accuracy - 0.05,
        "confusion": matrix.tolist(),
        "per_label": [
            {"label": x, "photos": 190, "recall": float(rng.random()), "precision": 0.8, "f1": 0.7}
            for x in labels
        ],
        "precision_at_coverage": [{"coverage": c / 10, "precision": 1 - c / 20} for c in range(1, 9)],
        "reliability": [
            {"from": b / 10, "to": (b + 1) / 10, "photos": 400, "confidence": b / 10, "accuracy": b / 11}
            for b in range(10)
        ],
        "calibration_error": 0.04,
        "targets": [
            {
                "target": t / 100,
                "thresholds": thresholds,
                "precision": t / 100,
                "coverage": 1.2 - t / 100,
                "tagged_other": 0.1,
            }
            for t in range(50, 100)
        ],
        "scene_costs": [
            {
                "scene_class": key,
                "label": label,
                "photos": 50,
                "wrong": 30,
                "taken_for": "other",
                "taken_for_count": 20,
            }
            for key, label in list(label_of.items())[:60]
        ],
        "environment": {"python": "3.11", "torch": "2.13.0", "device": "cpu", "threads": 2},
        "best_epoch": EPOCHS,
        "train_photos": PHOTOS - TEST,
        "test_photos": TEST,
        "seconds": 480.0,
        "peak_memory_mb": 1200,
        "left_out": {"photos": 0, "classes": [], "unreadable": 0},
    }


def addresses(runs: int) -> dict[str, str]:
    """The pages by name. The seeded runs are the newest, so they come first in the list."""

    def compare(count: int) -> str:
        return f"/trainer/runs/compare/?run={FIRST}-{FIRST + count - 1}"

    return {
        "run list": "/trainer/runs/",
        "run list, page 20": "/trainer/runs/?page=20",
        "run list, sorted": "/trainer/runs/?sort=balanced",
        "run list, searched": "/trainer/runs/?q=ResNet",
        "run, with its study": f"/trainer/runs/{FIRST + runs - 1}/",
        "run, epochs only": f"/trainer/runs/{FIRST}/",
        "photos of a cell": f"/trainer/runs/{FIRST + runs - 1}/photos/?true=bar",
        "compare 2": compare(2),
        "compare 100": compare(100),
        f"compare {runs}": compare(runs),
        f"compare {runs}, sorted, page 3": f"{compare(runs)}&sort=-balanced_accuracy&page=3",
    }


FIRST = 1  # number of the first seeded run, because the demo creates none


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=30)
    parser.add_argument("--seed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed:
        seed(options.runs)
        return
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as folder:
        site = Site(folder)
        try:
            environment = os.environ | {"SCENETAG_VAR": folder}
            environment["DJANGO_SETTINGS_MODULE"] = "hashtags_site.settings"
            argv = [sys.executable, "-m", "benchmarks.runs", "--seed", "--runs", str(options.runs)]
            subprocess.run(argv, cwd=ROOT, env=environment, check=True)
            admin = site.signed_in("admin")
            base = float(np.median(times(admin, f"{site.address}/health/", 40)))
            megabytes = (Path(folder) / "db.sqlite3").stat().st_size / 2**20
            print(f"{options.runs:,} runs, database {megabytes:.0f} MB")
            latencies = {
                name: times(admin, site.address + path, options.requests)
                for name, path in addresses(options.runs).items()
            }
            result = show(latencies, base) | {
                "resident_mb": site.memory(),
                "health_median_ms": round(base, 2),
            }
        finally:
            site.stop()
    print(f"\nresident: {result['resident_mb']} MB")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
