"""How often a trial without a difference gets a winner when somebody looks at it again and again.

    python -m benchmarks.peeking [--trials 1000]

Simulates trials of two equal models: each of 200 looks adds 100 photos, shared between the two. A winner at
any look is a false one. Baseline in the same run: the usual 95 % interval of a difference, computed at each
look. The last two lines have a real difference of 3 points: how often it is found, and after how many photos
in half of the trials that find it.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from serving.sequential import difference

LOOKS, PHOTOS = 200, 100  # photos a look
Z = 1.96
CASES = ((0.5, 0.5, 0.5), (0.86, 0.86, 0.5), (0.1, 0.1, 0.5), (0.03, 0.03, 0.1), (0.86, 0.86, 0.1))
REAL = ((0.5, 0.53, 0.5), (0.86, 0.89, 0.1))


def simulate(first: float, second: float, share: float, trials: int) -> dict[str, Any]:
    """Shares of trials with a winner by our test and by the usual interval; the median look of ours."""
    rng = np.random.default_rng(0)
    ours = usual = 0
    looks = []
    for _ in range(trials):
        n = rng.binomial(PHOTOS, share, LOOKS)
        sides = [(PHOTOS - n).cumsum(), n.cumsum()]
        yes = [
            rng.binomial(PHOTOS - n, first).cumsum(),
            rng.binomial(n, second).cumsum(),
        ]
        found_ours = found_usual = False
        for look in range(LOOKS):
            counts = [(int(yes[side][look]), int(sides[side][look])) for side in (0, 1)]
            now = difference(*counts)
            if now is None:
                continue
            if now.is_real and not found_ours:
                found_ours = True
                looks.append(look + 1)
            p, q = (a / b for a, b in counts)
            error = np.sqrt(p * (1 - p) / counts[0][1] + q * (1 - q) / counts[1][1])
            found_usual |= abs(q - p) > Z * error
        ours += found_ours
        usual += found_usual
    return {
        "rates": [first, second],
        "share": share,
        "winner": ours / trials,
        "winner_by_usual_interval": usual / trials,
        "photos_by_half": int(np.median(looks)) * PHOTOS if looks else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    rows = [simulate(*case, trials) for case in (*CASES, *REAL)]
    print(f"{'rates':>14}{'share':>7}{'winner':>9}{'usual interval':>16}{'photos by half':>16}")
    for row in rows:
        rates = " and ".join(f"{rate:g}" for rate in row["rates"])
        print(
            f"{rates:>14}{row['share']:>7}{row['winner']:>9.3f}{row['winner_by_usual_interval']:>16.3f}"
            f"{row['photos_by_half'] or '–':>16}"
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
