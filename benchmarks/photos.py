"""The data sets for benchmarks: research photos, which are never part of the repository."""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formats.classes import OUTSIDE, label_folder, label_of_folder

DATA = Path(__file__).parents[2] / "shared" / "data"
OUT_OF_SCOPE, PLACES = "out_of_scope.tar", "places_photos.tar"
PAINTINGS = "_hashtag/art"
ALL = ("sun_photos.tar", PLACES, "scene_photos_more.tar", OUT_OF_SCOPE)


def data_folder(description: str | None, tars: Sequence[str]) -> Path:
    """The folder given by --data (default ../shared/data); ends the program if a data set is missing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the tars and sun397_mapping.csv")
    folder: Path = parser.parse_args().data
    require(folder, tars)
    return folder


def require(folder: Path, tars: Sequence[str]) -> None:
    """End the program if one of the tars, or the mapping, is not in the folder."""
    missing_files = [name for name in (*tars, "sun397_mapping.csv") if not (folder / name).exists()]
    if missing_files:
        sys.exit(f"{folder} has no {', '.join(missing_files)}: nothing was measured. Set --data.")


def unpack(folder: Path, tars: Sequence[str], into: Path, *, places: int = 0) -> tuple[Path, int]:
    """Unpack the tars and write a manifest of their photos: (manifest, number of photos).

    ``places``: of Places only so many photos, drawn at random, always the same; 0: all. Ends the program if a
    data set is missing.
    """
    require(folder, tars)
    with (folder / "sun397_mapping.csv").open(newline="", encoding="utf-8") as file:
        mapping = {row["raw_name"].strip("/"): row for row in csv.DictReader(file)}
    rows: list[list[Any]] = []
    for name in tars:
        place = into / Path(name).stem
        if not place.exists():
            with tarfile.open(folder / name) as archive:
                archive.extractall(place, filter="data")
        for path in sorted(place.rglob("*.jpg")):
            scene_class = path.parent.relative_to(place).as_posix()
            if name == OUT_OF_SCOPE:  # what it shows is no scene; but paintings are #art
                scene_class = PAINTINGS if scene_class == "paintings" else f"{OUTSIDE}/{scene_class}"
            folder_key = label_folder(f"{scene_class}/")
            row = {} if folder_key else mapping[scene_class]
            label = label_of_folder(folder_key) if folder_key else row["hashtag"] or "other"
            levels = row.get("sun_level1", ""), row.get("sun_level2", "")
            rows.append([f"{place.name}/{path.relative_to(place)}", path, label, scene_class, *levels])
    if places:
        of_places = [row for row in rows if row[0].startswith(f"{Path(PLACES).stem}/")]
        left = {row[0] for row in of_places} - {
            row[0] for row in random.Random(0).sample(of_places, min(places, len(of_places)))
        }
        rows = [row for row in rows if row[0] not in left]
    manifest = into / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["photo_id", "path", "label", "scene_class", "level1", "level2"], *rows])
    return manifest, len(rows)


def train(folder: Path, name: str, manifest: Path, recipe: dict[str, Any], cache: Path) -> dict[str, Any]:
    """Train in a separate process, as a worker does, and return the report."""
    out, job = folder / name, folder / f"{name}.json"
    content = {"recipe": recipe, "photos": str(manifest), "out": str(out), "cache": str(cache)}
    job.write_text(json.dumps(content))
    command = [sys.executable, "-m", "trainer.engine", "train", str(job)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(f"{name} failed: {process.stdout.splitlines()[-1:]} {process.stderr[-500:]}")
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def print_table(rows: dict[str, dict[str, float]]) -> None:
    """Print one line per row and one column per figure."""
    columns = list(next(iter(rows.values())))
    print(" " * 28 + "".join(f"{column:>14}" for column in columns))
    for name, row in rows.items():
        print(f"{name:28}" + "".join(f"{row[column]:14.3f}" for column in columns))


def figures(report: dict[str, Any]) -> dict[str, float]:
    precision_at = {round(row["coverage"], 2): row["precision"] for row in report["precision_at_coverage"]}
    return {
        "accuracy": report["accuracy"],
        "balanced": report["balanced_accuracy"],
        "p@20%": precision_at[0.2],
        "p@40%": precision_at[0.4],
        "p@60%": precision_at[0.6],
        "seconds": report["seconds"],
        "memory MB": report["peak_memory_mb"],
    }
