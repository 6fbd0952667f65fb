"""How many machines a network's uploads and voters need: their arrivals against the queue of a machine.

    python -m benchmarks.arrivals [--uploads 10 1000] [--voters 10000] [--minutes 30] [--price 0.10]

A simulation, seeded: it needs no site. Uploads come at random (Poisson) in three patterns: "steady"; "daily",
a day's curve squeezed into the time; and "flash", ten times as many for a third of the time, 10 minutes by
default. A balancer deals them at random, so one machine with its share tells of all. A machine is as
deployed: its threads share the cores, the others wait in turn. `--waiting` bounds those that wait, and who
waits longer than `--patience` is refused. Refused uploads are not sent again here.

A loop of our own and not simpy: threads that share cores are its awkward case and three lines here, and a
million uploads take seconds instead of minutes. The service times are from docs/measured.md; put your own.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

import numpy as np

# Seconds of one core, from docs/measured.md.
UPLOAD = 2 / 32.7  # 12 megapixels, starter "fast", 8 clients on two idle cores: "Start and pages"
SMALL_UPLOAD = 0.0196  # 1,080 px, EfficientNet-Lite0: "Pace of suggestions"
VOTE = 0.0116  # the vote and its next question, on PostgreSQL, without its server: "Asking people"
VOTE_IN_DATABASE = 0.0050  # the same row, PostgreSQL's server
P95 = 0.4  # seconds: what the answers to uploads may take
VOTERS_P95 = 0.3
DAY_AMPLITUDE = 0.8  # of the daily curve: from 0.2 to 1.8 times the mean
FLASH = 10
HOURS_A_MONTH = 730

Draw = Callable[[], float]


@dataclass(frozen=True)
class Machine:
    """Two cores and two web processes of four threads, as `Procfile` starts them."""

    cores: int = 2
    threads: int = 8
    waiting: float = 2_000  # connections: 1,000 for each web process
    patience: float = 5.0  # seconds


@dataclass
class Outcome:
    seconds: list[float] = field(default_factory=list)  # from arrival to answer
    refused: int = 0
    busy: float = 0.0  # seconds of cores
    ended: float = 0.0

    def p(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent)) if self.seconds else math.nan


def simulate(
    arrivals: Iterable[float],
    *,
    machine: Machine,
    service: Draw,
    think: Draw | None = None,
    until: float = math.inf,
) -> Outcome:
    """Serve arrivals. With `think`, who got an answer comes again after that time, up to `until`.

    The threads that work share the cores evenly. So all of them advance by the same work, and a job ends
    when the work done since the start, the same for all, reaches what it was plus the job's service time.
    """
    coming = list(arrivals)
    heapq.heapify(coming)
    working: list[tuple[float, float]] = []  # (work at which it ends, its arrival)
    waiting: deque[float] = deque()
    outcome, now, work = Outcome(), 0.0, 0.0

    def leave() -> None:
        if think and (again := now + think()) < until:
            heapq.heappush(coming, again)

    while coming or working:
        pace = min(1.0, machine.cores / len(working)) if working else 0.0
        end = now + (working[0][0] - work) / pace if working else math.inf
        following = min(end, coming[0] if coming else math.inf)
        work += (following - now) * pace
        outcome.busy += (following - now) * min(len(working), machine.cores)
        now = following
        if now == end:
            outcome.seconds.append(now - heapq.heappop(working)[1])
            leave()
        elif len(waiting) >= machine.waiting:
            heapq.heappop(coming)
            outcome.refused += 1
            leave()
        else:
            waiting.append(heapq.heappop(coming))
        while waiting and now - waiting[0] > machine.patience:
            waiting.popleft()
            outcome.refused += 1
            leave()
        if waiting and len(working) < machine.threads:
            heapq.heappush(working, (work + service(), waiting.popleft()))
    outcome.ended = now
    return outcome


# --- arrivals -----------------------------------------------------------------------------------


def steady(share: float) -> float:
    return 1.0


def daily(share: float) -> float:
    return 1 - DAY_AMPLITUDE * math.cos(2 * math.pi * share)


def flash(share: float) -> float:
    return FLASH if 1 / 3 <= share < 2 / 3 else 1


PATTERNS = {"steady": steady, "daily": daily, "flash": flash}


def arrive(
    rng: np.random.Generator, rate: float, seconds: int, pattern: Callable[[float], float]
) -> list[float]:
    """Times of arrivals: `rate` a second, times the pattern's factor at each share of the time."""
    counts = rng.poisson([rate * pattern(second / seconds) for second in range(seconds)])
    times: list[float] = np.sort(np.repeat(np.arange(seconds), counts) + rng.random(counts.sum())).tolist()
    return times


# --- how many machines --------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    what: str
    machines: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    refused: float  # share
    utilisation: float
    price_a_month: float
    a_second: float  # answers of all machines


def row_of(what: str, machines: int, outcome: Outcome, machine: Machine, seconds: float, price: float) -> Row:
    answered = len(outcome.seconds)
    return Row(
        what,
        machines,
        p50_ms=round(1000 * outcome.p(50), 1),
        p95_ms=round(1000 * outcome.p(95), 1),
        p99_ms=round(1000 * outcome.p(99), 1),
        refused=round(outcome.refused / max(1, answered + outcome.refused), 4),
        utilisation=round(outcome.busy / (machine.cores * max(seconds, outcome.ended)), 3),
        price_a_month=round(machines * price * HOURS_A_MONTH),
        a_second=round(machines * answered / seconds, 1),
    )


def fewest(is_enough: Callable[[int], bool], least: int = 1) -> int:
    """The smallest number that is enough, if every larger one is enough, too."""
    low, high = least - 1, least
    while not is_enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def uploads_on(machines: int, *, rate: float, pattern: str, options: argparse.Namespace) -> Outcome:
    seconds = round(60 * options.minutes)
    rng = np.random.default_rng(options.seed)
    times = arrive(rng, rate / machines, seconds, PATTERNS[pattern])
    return simulate(times, machine=machine_of(options), service=lambda: options.service)


def voters_on(machines: int, *, voters: int, options: argparse.Namespace) -> Outcome:
    chance = random.Random(options.seed)
    mine = math.ceil(voters / machines)
    return simulate(
        [chance.random() * options.thought for _ in range(mine)],
        machine=machine_of(options),
        service=lambda: options.vote,
        think=lambda: chance.expovariate(1 / options.thought),
        until=60.0,
    )


def machine_of(options: argparse.Namespace) -> Machine:
    return Machine(options.cores, options.threads, options.waiting, options.patience)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uploads", type=float, nargs="*", default=[10, 1000], help="a second")
    parser.add_argument("--voters", type=int, nargs="*", default=[50, 10_000])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--thought", type=float, default=1.0, help="seconds of a voter, on average")
    parser.add_argument("--service", type=float, default=UPLOAD, help="seconds of a core for an upload")
    parser.add_argument("--vote", type=float, default=VOTE, help="seconds of a core for a vote")
    parser.add_argument("--cores", type=int, default=Machine.cores, help="of a machine")
    parser.add_argument("--threads", type=int, default=Machine.threads, help="of a machine's web processes")
    parser.add_argument("--waiting", type=float, default=Machine.waiting, help="connections of a machine")
    parser.add_argument("--patience", type=float, default=Machine.patience, help="seconds")
    parser.add_argument("--price", type=float, default=0.10, help="of a machine and hour; put your own")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = [
        *(size_uploads(rate, pattern, options) for rate in options.uploads for pattern in PATTERNS),
        *(unprepared(rate, options) for rate in options.uploads),
        *(size_voters(voters, options) for voters in options.voters),
    ]
    print(
        f"{'':<44}{'machines':>9}{'p50':>7}{'p95':>7}{'p99':>7} ms{'refused':>9}{'in use':>8}{'a month':>10}"
    )
    for row in rows:
        print(
            f"{row.what:<44}{row.machines:>9,}{row.p50_ms:>7.0f}{row.p95_ms:>7.0f}{row.p99_ms:>7.0f}   "
            f"{row.refused:>9.1%}{row.utilisation:>8.0%}{row.price_a_month:>10,.0f}"
        )
    print(json.dumps([asdict(row) for row in rows]))


def size_uploads(rate: float, pattern: str, options: argparse.Namespace) -> Row:
    """The fewest machines that keep the 95th percentile and refuse nobody."""

    def is_enough(machines: int) -> bool:
        outcome = uploads_on(machines, rate=rate, pattern=pattern, options=options)
        return not outcome.refused and outcome.p(95) <= P95

    machines = fewest(is_enough, max(1, math.floor(rate * options.service / options.cores)))
    outcome = uploads_on(machines, rate=rate, pattern=pattern, options=options)
    seconds = 60 * options.minutes
    return row_of(
        f"{rate:,g} uploads/s, {pattern}", machines, outcome, machine_of(options), seconds, options.price
    )


def unprepared(rate: float, options: argparse.Namespace) -> Row:
    """A flash peak on the machines that are enough for the steady rate."""
    machines = size_uploads(rate, "steady", options).machines
    outcome = uploads_on(machines, rate=rate, pattern="flash", options=options)
    what = f"{rate:,g} uploads/s, flash on machines for steady"
    return row_of(what, machines, outcome, machine_of(options), 60 * options.minutes, options.price)


def size_voters(voters: int, options: argparse.Namespace) -> Row:
    def is_enough(machines: int) -> bool:
        outcome = voters_on(machines, voters=voters, options=options)
        return not outcome.refused and outcome.p(95) <= VOTERS_P95

    machines = fewest(is_enough)
    outcome = voters_on(machines, voters=voters, options=options)
    row = row_of(f"{voters:,} voters", machines, outcome, machine_of(options), 60, options.price)
    cores = row.a_second * VOTE_IN_DATABASE
    print(f"{voters:,} voters: {row.a_second:,.0f} votes/s, {cores:,.1f} cores of PostgreSQL's server")
    return row


if __name__ == "__main__":
    main()
