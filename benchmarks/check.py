"""How well the starter models tell hashtags that fit a photo from hashtags that do not.

    python -m benchmarks.check [--data FOLDER] [--outputs FOLDER] [--held-out N] [--unseen N] [--ship]

On the photos that the starters have not learned from: those held out by their split, found again by its
seed, and those of Places that were not used at all ("unseen"; the limits come from the held-out ones). A
true hashtag is the photo's label. Wrong ones are all others ("random"), or the three likeliest ("likeliest");
those that the mapping's suggester gives the photo's class at least 1 chance in 20 count as neither.
"everyday" are the 104 sample photos, with all hashtags that we found fitting.

AUC compares true and wrong hashtags by their probabilities; "found" is the share of wrong ones below the
limit that 2 % of the true ones are below. "accused" and "shipped" are the shares of true and of random wrong
hashtags that get does_not_fit, by limits that were chosen on other photos. The baseline ("share") ranks by
the label's share of the softmax. ``--ship`` writes the checks into the starters' starter.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks import with_django  # noqa: F401  # before the words of the mapping, which can be translated
from benchmarks.everyday import STARTERS, labelled
from benchmarks.photos import ALL, DATA, print_table, unpack
from formats.classes import OTHER
from mapping.lexicon import wordnet
from mapping.suggester.facts import ClassFacts, HashtagFacts
from mapping.suggester.suggest import Suggester as ClassSuggester
from trainer.engine.evaluation.checks import FALSELY_ACCUSED, check_facts, evidence, fit_checks, verdicts
from trainer.engine.evaluation.report import softmax, write_json
from trainer.engine.events import StopRequest, listen
from trainer.engine.opening import open_photo
from trainer.engine.photos.manifest import Photo, read_manifest, split_photos, with_hashes
from trainer.engine.preprocess import as_batch, resized
from trainer.engine.serving.assemble import FACTS, assemble
from trainer.engine.serving.predict import Suggester

PLACES_USED = 8_388  # of Places' photos, shuffled by seed 0: trainer/starter/accurate/CARD.md
SOURCES = {"SUN": "sun_photos/", "Places": "places_photos/", "262 classes": "scene_photos_more/"}
MAPPING = Path(__file__).parents[1] / "mapping/data"
FOLDS = 4  # each is measured by checks that were fitted on the other three
DOUBTFUL = 0.05  # chance from which a hashtag is not called wrong for a class
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Photos × hashtags: the network's probabilities of labels (n, c), which hashtags are true (n, h), and
    which are wrong.
    """

    probabilities: Floats
    true: Mask
    wrong: Mask

    def part(self, which: Mask) -> Pairs:
        return Pairs(self.probabilities[which], self.true[which], self.wrong[which])


def parts(folder: Path, data: Path) -> tuple[list[Photo], list[Photo]]:
    """The photos that the starters' split holds out, and those of Places that no starter has used."""
    manifest, _ = unpack(data, ALL, folder)
    photos = with_hashes(read_manifest(manifest), StopRequest())
    places = sorted((p for p in photos if p.photo_id.startswith(SOURCES["Places"])), key=lambda p: p.photo_id)
    random.Random(0).shuffle(places)  # the starters' photos
    others = [photo for photo in photos if not photo.photo_id.startswith(SOURCES["Places"])]
    split = split_photos(others + places[:PLACES_USED], test_share=0.2, seed=0)
    known = {photo.sha256 for photo in split.train}
    held_out = list(split.test)
    random.Random(1).shuffle(held_out)  # so that a few are a fair sample
    return held_out, [photo for photo in places[PLACES_USED:] if photo.sha256 not in known]


def outputs(speed: str, photos: dict[str, str], file: Path) -> Floats:
    """The starter's logits (n, c) for photos (name → path), from the file or computed and kept there."""
    known: dict[str, Floats] = {}
    if file.exists():
        with np.load(file) as kept:
            known = dict(zip(kept["ids"].tolist(), kept["labels"], strict=True))
    missing = [name for name in photos if name not in known]
    if missing:
        model = file.with_suffix("")
        assemble(STARTERS / speed, model)
        network = Suggester(model, threads=1).network
    for name in missing:
        with open_photo(photos[name], size=network.input.size) as photo:
            pixels = as_batch([resized(photo, network.input)], network.input)
        known[name] = network.session.run(None, {"photos": pixels})[0][0]
    if missing:
        np.savez(file, ids=np.array(list(known)), labels=np.array(list(known.values())))
    return np.array([known[name] for name in photos], np.float64)


def chances() -> dict[str, dict[str, float]]:
    """Scene class → hashtag → the chance that the suggester gives it, without the class's own row."""
    with (MAPPING / "sun397.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (MAPPING / "hashtags.csv").open(newline="", encoding="utf-8") as file:
        hashtags = [HashtagFacts(row["hashtag"]) for row in csv.DictReader(file)]
    classes = [
        ClassFacts(r["raw_name"].strip("/"), r["name"], r["sense"], r["sun_level1"], r["sun_level2"])
        for r in rows
    ]
    suggester = ClassSuggester(classes, hashtags, wordnet.nouns())
    suggester.learn({at: row["hashtag"] for at, row in enumerate(rows)})
    names = [*(one.name for one in hashtags), OTHER]
    numbers, candidates = suggester.chances(np.arange(len(classes)))
    return {
        facts.key: {names[at]: float(p) for p, at in zip(numbers[row], candidates[row], strict=True)}
        for row, facts in enumerate(classes)
    }


def pairs_of(photos: Sequence[Photo], logits: Floats, facts: dict[str, Any]) -> Pairs:
    hashtags = [label for label in facts["labels"] if label != OTHER]
    true = np.array([[photo.label == name for name in hashtags] for photo in photos])
    given = chances()
    doubtful = np.array(
        [[given.get(p.scene_class, {}).get(name, 0) >= DOUBTFUL for name in hashtags] for p in photos]
    )
    return Pairs(softmax(logits, facts["temperature"]), true, ~true & ~doubtful)


def auc(true: Floats, wrong: Floats) -> float:
    ranks = rankdata(np.concatenate([true, wrong]))
    return float((ranks[: len(true)].sum() - len(true) * (len(true) + 1) / 2) / (len(true) * len(wrong)))


def figures(numbers: Floats, accused: Mask, pairs: Pairs) -> dict[str, float]:
    """One row, from what ranks the pairs (n, h) and which of them are said not to fit."""
    true, wrong = numbers[pairs.true], numbers[pairs.wrong]
    likeliest = np.concatenate(
        [np.sort(row[mask])[-3:] for row, mask in zip(numbers, pairs.wrong, strict=True)]
    )
    limit = np.quantile(true, FALSELY_ACCUSED)
    return {
        "true": float(len(true)),
        "AUC random": auc(true, wrong),
        "AUC likeliest": auc(true, likeliest),
        "found random": float((wrong < limit).mean()),
        "found likeliest": float((likeliest < limit).mean()),
        "accused": float(accused[pairs.true].mean()),
        "shipped": float(accused[pairs.wrong].mean()),
    }


def chance_of(probabilities: Floats, labels: Sequence[str], facts: dict[str, Any]) -> Floats:
    """The probability (n, h) that each hashtag fits, by the checks of a manifest."""
    numbers = evidence(probabilities)
    columns = [at for at, label in enumerate(labels) if label != OTHER]
    rows = [facts["hashtags"][labels[at]] for at in columns]
    odds = numbers[:, columns] * [row["slope"] for row in rows] + [row["shift"] for row in rows]
    chance: Floats = 1 / (1 + np.exp(-odds))
    return chance


def measure(
    speed: str, arguments: argparse.Namespace, photos: tuple[list[Photo], list[Photo]]
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    facts = json.loads((STARTERS / speed / FACTS).read_text(encoding="utf-8"))
    labels: list[str] = facts["labels"]
    held_out, unseen = photos[0][: arguments.held_out], photos[1][: arguments.unseen]

    def look(part: Sequence[Photo], name: str) -> Pairs:
        paths = {photo.photo_id: photo.path for photo in part}
        return pairs_of(part, outputs(speed, paths, arguments.outputs / f"{speed}-{name}.npz"), facts)

    pairs = look(held_out, "test")
    answers = np.array([labels.index(photo.label) for photo in held_out])
    checks = check_facts(pairs.probabilities, answers, labels)
    numbers: NDArray[np.float64] = np.zeros(pairs.true.shape)
    accused = np.zeros(pairs.true.shape, bool)
    for fold in range(FOLDS):
        rest = np.arange(len(answers)) % FOLDS == fold
        choose = ~rest
        part = pairs.probabilities
        found = fit_checks(part[choose], answers[choose], labels)
        half = {"hashtags": {name: vars(check) for name, check in found.items()}}
        numbers[rest] = chance_of(part[rest], labels, half)
        accused[rest], _ = verdicts(part[rest], labels, found)
    shares = pairs.probabilities[:, : numbers.shape[1]]  # other is the last label
    rows = {f"{speed}, share (baseline)": figures(shares, accused, pairs)}
    rows[f"{speed}, held out"] = figures(numbers, accused, pairs)
    for source, start in SOURCES.items():
        where = np.array([photo.photo_id.startswith(start) for photo in held_out])
        rows[f"{speed}, {source}"] = figures(numbers[where], accused[where], pairs.part(where))
    shipped = fit_checks(pairs.probabilities, answers, labels)
    everyday = labelled()
    paths = {path.name: str(path) for path in everyday}
    logits = outputs(speed, paths, arguments.outputs / f"{speed}-samples.npz")
    true = np.array(
        [[label in fitting for label in labels if label != OTHER] for fitting in everyday.values()]
    )
    others = {"everyday": Pairs(softmax(logits, facts["temperature"]), true, ~true)}
    if unseen:
        others["unseen Places"] = look(unseen, "unseen")
    for name, other in others.items():
        said, _ = verdicts(other.probabilities, labels, shipped)
        rows[f"{speed}, {name}"] = figures(chance_of(other.probabilities, labels, checks), said, other)
    return rows, checks


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--outputs", type=Path, help="folder in which the networks' outputs are kept")
    options.add_argument("--held-out", type=int, help="so many photos at most")
    options.add_argument("--unseen", type=int, help="so many photos at most")
    options.add_argument("--models", nargs="+", default=["fast", "accurate"])
    options.add_argument("--ship", action="store_true", help="write the checks into the starter models")
    arguments = options.parse_args()
    listen(lambda event, fields: None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments.outputs = arguments.outputs or folder
        photos = parts(folder, arguments.data)
        rows: dict[str, dict[str, float]] = {}
        for speed in arguments.models:
            found, checks = measure(speed, arguments, photos)
            rows |= found
            if arguments.ship:
                file = STARTERS / speed / FACTS
                write_json(file, json.loads(file.read_text(encoding="utf-8")) | {"checks": checks})
    print_table(rows)
    print(json.dumps({"benchmark": "check", "baseline": "share", "rows": rows}))


if __name__ == "__main__":
    main()
