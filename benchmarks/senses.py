"""How often the right sense of a class is listed first, compared with WordNet's own first sense.

    python -m benchmarks.senses [--embeddings]

The key, benchmarks/sense_key.csv, is the judgement of one person, without a second opinion. The candidates of
the 397 classes (senses of the terms that are looked up) were listed with their glosses in WordNet's order,
and the question was what a photo of the class shows. 181 rows were decided in this way; the other 216 have a
single candidate. The key was written before any ranker was scored with it, and without the columns of
mapping/data. If a photo does not distinguish several senses, all are listed, best first, and any of them
counts. Blank means that WordNet has no noun (jacuzzi, ice cream parlor); such classes are not counted. A
right sense that no term of the class has (a watering hole is not a health resort) counts as a miss.

With a choice (146 classes whose first term has several senses): WordNet's first .671, ranked .870, with
embeddings .897. The weights in mapping/lexicon/senses.py were chosen on this key, so none of it is unseen.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

from mapping.lexicon import embeddings, senses, wordnet
from mapping.lexicon.names import lookup_terms, scene_key

KEY = Path(__file__).with_name("sense_key.csv")
CATALOGUE = Path(__file__).parents[1] / "mapping/data/sun397.csv"


def read_key() -> dict[str, list[str]]:
    with KEY.open(newline="") as file:
        return {row["key"]: row["senses"].split() for row in csv.DictReader(file) if row["senses"]}


def groups() -> dict[str, tuple[str, str]]:
    with CATALOGUE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {scene_key(row["raw_name"]): (row["sun_level1"], row["sun_level2"]) for row in rows}


def wordnets_first(key: str) -> list[str]:
    nouns = wordnet.nouns()
    for term in lookup_terms(key):
        if numbers := nouns.synsets(term):
            return [nouns.keys[number] for number in numbers]
    return []


def score(truth: dict[str, list[str]], ranking: dict[str, list[str]]) -> dict[str, float]:
    first = sum(bool(set(ranking[key][:1]) & set(right)) for key, right in truth.items())
    two = sum(bool(set(ranking[key][:2]) & set(right)) for key, right in truth.items())
    return {"first": round(first / len(truth), 4), "within_two": round(two / len(truth), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embeddings", action="store_true")
    parser.add_argument("--misses", action="store_true")
    options = parser.parse_args()
    truth, groups_of = read_key(), groups()
    wordnet.nouns()
    result: dict[str, Any] = {"classes": len(truth)}
    result["wordnets_first"] = score(truth, {key: wordnets_first(key) for key in truth})
    began = time.perf_counter()
    ranking = {key: [s.key for s in senses.of_class(key, *groups_of[key])] for key in truth}
    result["seconds"] = round(time.perf_counter() - began, 3)
    result["ranked"] = score(truth, ranking)
    if options.embeddings and embeddings.available():
        ranking = {
            key: [s.key for s in senses.of_class(key, *groups_of[key], embed=embeddings.embed)]
            for key in truth
        }
        result["ranked_with_embeddings"] = score(truth, ranking)
    if options.misses:
        for key, right in truth.items():
            if not set(ranking[key][:1]) & set(right):
                print(f"{key:<30} {ranking[key][:2]} instead of {right}")
    print(f"{len(truth)} classes with a noun, all ranked in {result['seconds']} s")
    for name in ("wordnets_first", "ranked", "ranked_with_embeddings"):
        if name in result:
            print(f"{name:<26}first {result[name]['first']:.3f}   in two {result[name]['within_two']:.3f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
