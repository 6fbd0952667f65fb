"""The thesis's new schemes, each against the same recipe without it, over several seeds.

    python -m benchmarks.schemes [PART …] [--data FOLDER] [--cache FOLDER] [--backbone NAME] [--seeds 3]

Each figure is the mean over the seeds with half the width of its 95 % interval (Student's t), of the recipe
without the scheme and of the difference of pairs. A seed stands for the split, the first weights and the
order of photos. Parts:

- levels: SUN's levels beside scene classes, on the frozen backbone; SUN's photos and those of 262 classes,
  80/20.
- pseudo-few: five labels a class, all other photos of the training part without labels; the same photos.
- pseudo-more: all labels of the training part; without labels, Places' photos (128 px) of the same classes.
- levels-finetune: a head for the levels beside the labels, EfficientNet-Lite0 at 64 px, 30 photos a class of
  SUN, 80/20, four epochs.
- masks: composed photos, as no real masks are at hand. A striped square, whose direction is the class, lies
  anywhere on a cluttered photo; in nine of ten training photos a colour of the background tells the class,
  too, in test photos it does not. ResNet-18 from scratch at 96 px; masks for all photos, for every fifth, and
  for every fifth with a segmenter for the rest.

The photos of ../shared/data are research photos and never part of the repository. With --cache, only photos
whose features are there are used, and none are computed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.photos import DATA, require
from trainer.engine.events import StopRequest, listen
from trainer.engine.photos.manifest import Photo

SUN, MORE, PLACES = "sun_photos.tar", "scene_photos_more.tar", "places_photos.tar"
FEW = 5  # labels a class
FIGURES = ("accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class Bench:
    """The folders of a benchmark: data sets, a place for runs, features."""

    data: Path
    work: Path
    cache: Path
    known: frozenset[str]  # SHA-256 of photos with features; empty: all may be computed
    backbone: str
    seeds: range

    def photos(self, *tars: str) -> list[Photo]:
        """The photos of the tars whose class the mapping has, once each."""
        with (self.data / "sun397_mapping.csv").open(newline="", encoding="utf-8") as file:
            rows = {row["raw_name"].strip("/"): row for row in csv.DictReader(file)}
        seen: dict[str, Photo] = {}
        for name in tars:
            place = self.work / Path(name).stem
            if not place.exists():
                with tarfile.open(self.data / name) as archive:
                    archive.extractall(place, filter="data")
            for path in sorted(place.rglob("*.jpg")):
                scene = path.parent.relative_to(place).as_posix()
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                if scene in rows and (not self.known or digest in self.known):
                    row = rows[scene]
                    levels = row["sun_level1"], row["sun_level2"]
                    photo = Photo(
                        f"{place.name}/{path.relative_to(place)}",
                        str(path),
                        row["hashtag"] or "other",
                        scene,
                        digest,
                        levels,
                    )
                    seen.setdefault(digest, photo)
        return list(seen.values())

    def run(
        self, photos: Iterable[Photo], recipe: dict[str, Any], *, unlabelled: Iterable[Photo] = (), **job: Any
    ) -> dict[str, Any]:
        """Train in a new folder and return the report."""
        from trainer.engine.training.run import RunJob, train

        with tempfile.TemporaryDirectory(dir=self.work) as name:
            folder = Path(name)
            write_manifest(folder / "manifest.csv", photos)
            places = {"photos": str(folder / "manifest.csv"), "out": str(folder / "run")}
            if rest := [[photo.path] for photo in unlabelled]:
                with (folder / "rest.csv").open("w", newline="") as file:
                    csv.writer(file).writerows([["path"], *rest])
                recipe = recipe | {"unlabelled": str(folder / "rest.csv")}
            content = {"recipe": recipe, "cache": str(self.cache), **places, **job}
            (folder / "job.json").write_text(json.dumps(content))
            return train(RunJob.read(folder / "job.json"), StopRequest())


def write_manifest(file: Path, photos: Iterable[Photo]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["photo_id", "path", "label", "scene_class", "level1", "level2"])
        writer.writerows([p.photo_id, p.path, p.label, p.scene_class, *p.levels] for p in photos)


def thinned(photos: Sequence[Photo], each: int, seed: int) -> list[Photo]:
    """At most so many photos of each class, drawn by seed."""
    by_class: dict[str, list[Photo]] = defaultdict(list)
    for photo in sorted(photos, key=lambda photo: photo.photo_id):
        by_class[photo.scene_class].append(photo)
    rng = random.Random(seed)
    return [photo for rows in by_class.values() for photo in rng.sample(rows, min(each, len(rows)))]


def half_width(values: Sequence[float]) -> float:
    """Half the width of the 95 % interval of a mean, by Student's t."""
    from scipy import stats

    if len(values) < 2:
        return float("nan")
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


Pairs = list[tuple[dict[str, float], dict[str, float]]]


def show(name: str, pairs: Pairs, note: str = "") -> dict[str, Any]:
    """Print a scheme's line and return its figures. pairs: by seed, without the scheme and with it."""
    row: dict[str, Any] = {"scheme": name}
    words = []
    for figure in FIGURES:
        before = [without[figure] for without, _ in pairs]
        gains = [with_it[figure] - without[figure] for without, with_it in pairs]
        base, gain = float(np.mean(before)), float(np.mean(gains))
        row |= {figure: base, f"{figure}_gain": gain, f"{figure}_interval": half_width(gains)}
        words.append(f"{base:.4f} ± {half_width(before):.4f}  {gain:+.4f} ± {half_width(gains):.4f}")
    print(f"{name:34} {'   '.join(words)}   {note}", flush=True)
    return row


def levels(bench: Bench) -> list[dict[str, Any]]:
    photos = bench.photos(SUN, MORE)
    plain = [bench.run(photos, {"backbone": bench.backbone, "seed": seed}) for seed in bench.seeds]
    rows = []
    for weight in (0.3, 1.0):
        recipe = {"backbone": bench.backbone, "level_loss": weight}
        reports = [bench.run(photos, recipe | {"seed": seed}) for seed in bench.seeds]
        shares = np.mean([report["levels"] for report in reports], 0)
        note = "levels right: " + " ".join(f"{share:.3f}" for share in shares)
        rows.append(show(f"level_loss {weight:g}", list(zip(plain, reports, strict=True)), note))
    return rows


def pseudo(bench: Bench, name: str, photos: Sequence[Photo], few: int, rest: Sequence[Photo]) -> list[Any]:
    """Pseudo-labels at two confidences. few: labels a class, 0: all of the training part."""
    rows = []
    for confidence in (0.7, 0.9):
        reports = []
        for seed in bench.seeds:
            test = {p.photo_id for p in thinned_share(photos, 0.2, seed)}
            train = [p for p in photos if p.photo_id not in test]
            taught = thinned(train, few, seed) if few else train
            left = {p.photo_id for p in train} - {p.photo_id for p in taught}
            with tempfile.TemporaryDirectory(dir=bench.work) as folder:
                write_partition(Path(folder), taught, [p for p in photos if p.photo_id in test])
                recipe = {"backbone": bench.backbone, "seed": seed, "split": "sun-01"}
                recipe |= {"pseudo_confidence": confidence}
                used = [p for p in photos if p.photo_id not in left]
                unlabelled = [*rest, *(p for p in photos if p.photo_id in left)]
                reports.append(bench.run(used, recipe, unlabelled=unlabelled, partitions=folder))
        facts = [report["pseudo_labels"] for report in reports]
        kept = sum(row["kept"] for row in facts)
        labelled = np.mean([row["labelled"] / row["unlabelled"] for row in facts])
        p_values = " ".join(f"{row['p']:.2g}" for row in facts)
        note = f"labelled {labelled:.2f} of {facts[0]['unlabelled']:,}, kept {kept}, p {p_values}"
        pairs = [(row["first"], row["again"]) for row in facts]
        rows.append(show(f"{name}, from {confidence:g}", pairs, note))
    return rows


def thinned_share(photos: Sequence[Photo], share: float, seed: int) -> list[Photo]:
    """This share of each class, drawn by seed."""
    counts: dict[str, int] = defaultdict(int)
    for photo in photos:
        counts[photo.scene_class] += 1
    left = {scene: round(share * count) for scene, count in counts.items()}
    chosen = []
    for photo in thinned(photos, len(photos), seed):
        if left[photo.scene_class]:
            left[photo.scene_class] -= 1
            chosen.append(photo)
    return chosen


def write_partition(folder: Path, train: Iterable[Photo], test: Iterable[Photo]) -> None:
    """Lists as SUN397's own partitions have them."""
    for name, photos in (("Training_01.txt", train), ("Testing_01.txt", test)):
        lines = [f"/{photo.scene_class}/{Path(photo.path).name}" for photo in photos]
        (folder / name).write_text("\n".join(lines))


def pseudo_few(bench: Bench) -> list[dict[str, Any]]:
    return pseudo(bench, f"pseudo-labels, {FEW} a class", bench.photos(SUN, MORE), FEW, ())


def pseudo_more(bench: Bench) -> list[dict[str, Any]]:
    return pseudo(bench, "pseudo-labels, Places", bench.photos(SUN, MORE), 0, bench.photos(PLACES))


def levels_finetune(bench: Bench) -> list[dict[str, Any]]:
    # Its photos need no features.
    photos = replace(bench, known=frozenset()).photos(SUN)
    recipe = {
        "kind": "finetune",
        "network": "efficientnet_lite0",
        "image_size": 64,
        "epochs": 4,
        "mixup": 0.0,
    }
    recipe |= {
        "test_every": 4,
        "batch_size": 32,
        "optimizer": "sgd",
        "lr": 0.02,
        "weight_decay": 1e-4,
        "warmup": 0.5,
    }
    pairs: Pairs = []
    shares = []
    for seed in bench.seeds:
        drawn = thinned(photos, 30, seed)
        plain, with_it = (
            bench.run(drawn, recipe | {"seed": seed, "level_loss": weight}) for weight in (0, 0.5)
        )
        pairs.append((plain, with_it))
        shares.append(with_it["levels"])
    note = "levels right: " + " ".join(f"{share:.3f}" for share in np.mean(shares, 0))
    return [show("level_loss 0.5, fine-tuning", pairs, note)]


# --- composed photos with masks

SIDE, SQUARE = 96, 32  # px
TRAIN, TEST = 300, 200  # photos


def compose(folder: Path, seed: int, masked: Callable[[int], bool]) -> tuple[list[Photo], list[Photo]]:
    """Training and test photos with squares, written into the folder; where `masked`, with an XML file."""
    rng = np.random.default_rng(seed)
    photos = []
    for at in range(TRAIN + TEST):
        kind = at % 2
        scene = ("a/across", "d/down")[kind]
        path = folder / scene / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        tells = at < TRAIN and rng.random() < 0.9
        x, y = (int(v) for v in rng.integers(0, SIDE - SQUARE, 2))
        Image.fromarray(composed(rng, kind, kind if tells else int(rng.integers(2)), x, y)).save(path)
        path.with_suffix(".xml").unlink(missing_ok=True)
        if at >= TRAIN or masked(at):
            path.with_suffix(".xml").write_text(labelme(x, y))
        photos.append(Photo(f"{scene}/{at}", str(path), scene[2:], scene))
    return photos[:TRAIN], photos[TRAIN:]


def composed(rng: np.random.Generator, kind: int, hint: int, x: int, y: int) -> np.ndarray[Any, Any]:
    """(SIDE, SIDE, 3) bytes: clutter with a tint that `hint` decides, and a square striped by `kind`."""
    coarse = rng.integers(40, 216, (SIDE // 8, SIDE // 8, 3)).repeat(8, 0).repeat(8, 1)
    pixels = coarse + rng.integers(-20, 20, (SIDE, SIDE, 3)) + np.array([(25, 0, -25), (-25, 0, 25)][hint])
    stripes = np.where(np.arange(SQUARE) // 4 % 2, 235, 20)
    square = np.broadcast_to(stripes[:, None] if kind == 0 else stripes[None], (SQUARE, SQUARE))
    pixels[y : y + SQUARE, x : x + SQUARE] = square[..., None] + rng.integers(-20, 20, (SQUARE, SQUARE, 3))
    photo: NDArray[np.uint8] = pixels.clip(0, 255).astype(np.uint8)
    return photo


def labelme(x: int, y: int) -> str:
    corners = ((x, y), (x + SQUARE, y), (x + SQUARE, y + SQUARE), (x, y + SQUARE))
    points = "".join(f"<pt><x>{px}</x><y>{py}</y></pt>" for px, py in corners)
    size = f"<imagesize><nrows>{SIDE}</nrows><ncols>{SIDE}</ncols></imagesize>"
    return f"<annotation>{size}<object><name>square</name><polygon>{points}</polygon></object></annotation>"


def has_mask(at: int, every: int) -> bool:
    """Whether the photo of that number has a mask: one pair in so many."""
    return at // 2 % every == 0


def masks(bench: Bench) -> list[dict[str, Any]]:
    recipe = {"kind": "finetune", "network": "resnet18", "weights": "none", "image_size": SIDE, "mixup": 0.0}
    recipe |= {
        "epochs": 6,
        "test_every": 6,
        "batch_size": 20,
        "optimizer": "adamw",
        "lr": 0.001,
        "weight_decay": 0.01,
    }
    recipe |= {"warmup": 0.5, "balance": 0.0, "split": "sun-01"}
    variants: dict[str, tuple[int, dict[str, Any]]] = {
        "masks for all": (1, {"mask_loss": 1.0}),
        "masks for a fifth": (5, {"mask_loss": 1.0}),
        "a fifth, and a segmenter": (5, {"mask_loss": 1.0, "segmenter_after": 2}),
    }
    reports: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for seed in bench.seeds:
        with tempfile.TemporaryDirectory(dir=bench.work) as name:
            folder = Path(name)
            # Hardly any weight: the same training, with the figures on attention.
            for variant, (every, more) in {"plain": (1, {"mask_loss": 1e-6}), **variants}.items():
                train, test = compose(folder / "photos", seed, partial(has_mask, every=every))
                write_partition(folder, train, test)
                settings = recipe | more | {"seed": seed}
                reports[variant].append(bench.run([*train, *test], settings, partitions=str(folder)))
    rows = []
    for variant in variants:
        facts = [report["masks"] for report in reports[variant]]
        before = [report["masks"]["attention_inside"] for report in reports["plain"]]
        inside = [row["attention_inside"] for row in facts]
        note = f"attention on objects {np.mean(before):.2f} to {np.mean(inside):.2f}"
        overlap = np.mean([row["segmenter_overlap"] for row in facts])
        note += f" (area {facts[0]['area']:.2f}), segmenter {overlap:.2f}"
        rows.append(show(variant, list(zip(reports["plain"], reports[variant], strict=True)), note))
    return rows


PARTS = {
    "levels": levels,
    "pseudo-few": pseudo_few,
    "pseudo-more": pseudo_more,
    "levels-finetune": levels_finetune,
    "masks": masks,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the tars and sun397_mapping.csv")
    parser.add_argument(
        "--cache", type=Path, help="features that are there already: only their photos are used"
    )
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    require(options.data, (SUN, MORE, PLACES))
    listen(lambda event, fields: None)
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as name:
        work = Path(name)
        cache = options.cache or work / "features"
        known = known_photos(cache, options.backbone) if options.cache else frozenset()
        bench = Bench(options.data, work, cache, known, options.backbone, range(options.seeds))
        print(f"{'':34} {'accuracy, gain':36}   balanced accuracy, gain")
        rows = [row for part in options.parts or PARTS for row in PARTS[part](bench)]
    print(json.dumps({"benchmark": "schemes", "backbone": options.backbone, "rows": rows}))


def known_photos(cache: Path, backbone: str) -> frozenset[str]:
    from trainer.engine.backbones import BACKBONES
    from trainer.engine.networks.features import FeatureCache
    from trainer.engine.opening import VERSION

    return frozenset(
        FeatureCache(cache / f"{backbone}-{BACKBONES[backbone].input.size}-whole-{VERSION}").rows
    )


if __name__ == "__main__":
    main()
