"""The frozen recipe on the SUN photos, split 80/20 by seed 0: quality, time from photos to report, memory.

    python -m benchmarks.frozen [--data FOLDER]

Baseline in the same run: a plain linear head (no scene classes, mixup, dropout, smoothing or balance) on the
same cached features. Prints a table and one line of JSON.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from benchmarks.photos import data_folder, figures, print_table, train, unpack

PLAIN = {"scene_loss": 0.0, "mixup": 0.0, "dropout": 0.0, "label_smoothing": 0.0, "balance": 0.0}
TARS = ("sun_photos.tar",)


def main() -> None:
    data = data_folder(__doc__, TARS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest, photos = unpack(data, TARS, folder)
        start = time.monotonic()
        fresh = train(folder, "fresh", manifest, {}, folder / "cache")
        fresh_seconds = time.monotonic() - start
        again = train(folder, "again", manifest, {}, folder / "cache")
        plain = train(folder, "plain", manifest, PLAIN, folder / "cache")
    rows = {
        "frozen-lite0, first time": figures(fresh),
        "features cached": figures(again),
        "plain head": figures(plain),
    }
    print_table(rows)
    result = {
        "benchmark": "frozen",
        "photos": photos,
        "balanced_accuracy": fresh["balanced_accuracy"],
        "accuracy": fresh["accuracy"],
        "wall_seconds": round(fresh_seconds, 1),
        "peak_memory_mb": fresh["peak_memory_mb"],
        "baseline": "plain linear head on the same features",
        "balanced_accuracy_ratio": fresh["balanced_accuracy"] / plain["balanced_accuracy"],
        "error_ratio": (1 - fresh["balanced_accuracy"]) / (1 - plain["balanced_accuracy"]),
        "cached_time_ratio": again["seconds"] / fresh["seconds"],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
