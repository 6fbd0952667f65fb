"""The six similarity matrices of the catalogue's senses, beside nltk's own pair by pair.

    python -m benchmarks.similarity [--pairs 3000]

Both are timed after WordNet is loaded and its information content known. nltk is asked for a random subset
of pairs, equality is checked on those, and its time for all pairs is reckoned from them.
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
    """nltk's six measures of those pairs, and the seconds that took with its caches warm."""
    reader = wordnet.reader()
    senses = [reader.synset(key) for key in keys]
    found: dict[str, Any] = {}
    for _ in range(2):  # the first round fills nltk's caches
        start = time.perf_counter()
        for measure in similarity.MEASURES:
            more = (ic,) if measure in ("res", "lin", "jcn") else ()
            name = f"{measure}_similarity"
            found[measure] = [getattr(senses[i], name)(senses[j], *more) for i, j in pairs]
    return found, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3000)
    wanted = parser.parse_args().pairs
    with CATALOGUE.open(newline="", encoding="utf-8") as file:
        keys = [row["sense"] for row in csv.DictReader(file) if row["sense"]]
    nouns = wordnet.nouns()
    start = time.perf_counter()
    content = similarity.information_content(nouns)
    content_s = time.perf_counter() - start
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = similarity.similarities(nouns, keys, content.counted, content.depth)
        seconds.append(time.perf_counter() - start)
    shares = {int(at): math.exp(-v) for at, v in zip(nouns.offsets, content.counted, strict=True)}
    chance = random.Random(0)
    pairs = [(chance.randrange(len(keys)), chance.randrange(len(keys))) for _ in range(wanted)]
    expected, nltk_s = nltk_pairs(keys, pairs, {"n": {**shares, 0: 1.0}})
    worst = max(
        abs(found[measure][pair] - value) / max(1.0, abs(value))
        for measure, values in expected.items()
        for pair, value in zip(pairs, values, strict=True)
    )
    ours, theirs = statistics.median(seconds), nltk_s / wanted * len(keys) ** 2
    result = {
        "benchmark": "similarity",
        "senses": len(keys),
        "six_matrices_s": round(ours, 4),
        "worst_of_repeats_s": round(max(seconds), 4),
        "information_content_s": round(content_s, 3),
        "pairs_checked": wanted,
        "greatest_relative_difference": float(worst),
        "equal": bool(worst < 1e-9),
        "baseline": "nltk pair by pair, caches warm, reckoned from the checked pairs",
        "baseline_s": round(theirs, 2),
        "times_faster": round(theirs / ours, 1),
    }
    print(f"six matrices of {len(keys)}: {ours:.3f} s; nltk {theirs:.1f} s; greatest difference {worst:.1e}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
