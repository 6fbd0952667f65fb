"""The six similarity matrices of the catalogue's senses, compared with nltk's pair by pair.

    python -m benchmarks.similarity [--pairs 3000]

Both are timed with WordNet and its information content loaded. nltk computes a random subset of pairs; we
check that the values are equal, and extrapolate its time to all pairs.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import statistics
import time
from pathlib import Path
from typing import Any

from mapping.lexicon import similarity, wordnet

CATALOGUE = Path(__file__).parents[1] / "mapping" / "data" / "sun397.csv"
REPEATS = 5


def nltk_pairs(
    keys: list[str], pairs: list[tuple[int, int]], ic: dict[str, Any]
) -> tuple[dict[str, Any], float]:
    """nltk's six measures of these pairs, and the seconds that it took with warm caches."""
    reader = wordnet.reader()
    senses = [reader.synset(key) for key in keys]
    values: dict[str, Any] = {}
    for _ in range(2):  # the first round fills nltk's caches
        start = time.perf_counter()
        for measure in similarity.MEASURES:
            more = (ic,) if measure in ("res", "lin", "jcn") else ()
            name = f"{measure}_similarity"
            values[measure] = [getattr(senses[i], name)(senses[j], *more) for i, j in pairs]
    return values, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3000)
    pair_count = parser.parse_args().pairs
    with CATALOGUE.open(newline="", encoding="utf-8") as file:
        keys = [row["sense"] for row in csv.DictReader(file) if row["sense"]]
    nouns = wordnet.nouns()
    start = time.perf_counter()
    content = similarity.information_content(nouns)
    content_s = time.perf_counter() - start
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        matrices = similarity.similarities(nouns, keys, content.counted, content.depth)
        seconds.append(time.perf_counter() - start)
    shares = {int(at): math.exp(-v) for at, v in zip(nouns.offsets, content.counted, strict=True)}
    chance = random.Random(0)
    pairs = [(chance.randrange(len(keys)), chance.randrange(len(keys))) for _ in range(pair_count)]
    nltk_values, nltk_s = nltk_pairs(keys, pairs, {"n": {**shares, 0: 1.0}})
    largest_error = max(
        abs(matrices[measure][pair] - value) / max(1.0, abs(value))
        for measure, values in nltk_values.items()
        for pair, value in zip(pairs, values, strict=True)
    )
    ours, theirs = statistics.median(seconds), nltk_s / pair_count * len(keys) ** 2
    result = {
        "benchmark": "similarity",
        "senses": len(keys),
        "six_matrices_s": round(ours, 4),
        "worst_of_repeats_s": round(max(seconds), 4),
        "information_content_s": round(content_s, 3),
        "pairs_checked": pair_count,
        "greatest_relative_difference": float(largest_error),
        "equal": bool(largest_error < 1e-9),
        "baseline": "nltk pair by pair, with warm caches, extrapolated from the checked pairs",
        "baseline_s": round(theirs, 2),
        "times_faster": round(theirs / ours, 1),
    }
    print(f"six matrices of {len(keys)}: {ours:.3f} s; nltk {theirs:.1f} s; difference {largest_error:.1e}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
