"""The simulated queue gives the waiting times that queueing theory knows, and refuses as it says."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.arrivals import Machine, arrive, fewest, flash, simulate, steady

SECONDS = 25_000


def times(rate: float) -> list[float]:
    return arrive(np.random.default_rng(1), rate, SECONDS, steady)


def test_one_thread_with_constant_service_waits_as_an_md1_queue() -> None:
    """Pollaczek and Khinchine: ρ s / 2 (1 - ρ)."""
    outcome = simulate(times(0.8), machine=Machine(1, 1, math.inf, math.inf), service=lambda: 1.0)
    assert np.mean(outcome.seconds) - 1 == pytest.approx(0.8 / (2 * 0.2), rel=0.05)
    assert outcome.busy / outcome.ended == pytest.approx(0.8, rel=0.02)


@pytest.mark.parametrize("threads", [2, 8])
def test_two_cores_with_exponential_service_are_an_mm2_queue(threads: int) -> None:
    """Erlang: s / (1 - ρ²) on average, however many threads share the cores."""
    chance = random.Random(1)
    machine = Machine(2, threads, math.inf, math.inf)
    outcome = simulate(times(1.4), machine=machine, service=lambda: chance.expovariate(1))
    assert np.mean(outcome.seconds) == pytest.approx(1 / (1 - 0.7**2), rel=0.05)


def test_voters_of_one_core_are_the_machine_repair_model() -> None:
    """Ten voters, a second of thought and of service: the core's idle share by Engset and Palm."""
    chance = random.Random(1)

    def draw() -> float:
        return chance.expovariate(1)

    outcome = simulate([0.0] * 10, machine=Machine(1, 1, 99, 99), service=draw, think=draw, until=20_000)
    idle = 1 / sum(math.perm(10, n) for n in range(11))
    assert outcome.busy / outcome.ended == pytest.approx(1 - idle, rel=0.01)
    assert len(outcome.seconds) / outcome.ended == pytest.approx(1, rel=0.02)


def test_who_waits_too_long_or_finds_too_many_waiting_is_refused() -> None:
    impatient = simulate([0.0] * 5, machine=Machine(1, 1, 9, 1.5), service=lambda: 1.0)
    assert (impatient.seconds, impatient.refused) == ([1.0, 2.0], 3)
    crowded = simulate([0.0] * 5, machine=Machine(1, 1, 2, 99), service=lambda: 1.0)
    assert (crowded.seconds, crowded.refused) == ([1.0, 2.0, 3.0], 2)


def test_flash_peak_is_ten_times_the_rest() -> None:
    counts, _ = np.histogram(arrive(np.random.default_rng(1), 20, 300, flash), 3, (0, 300))
    assert counts[1] / counts[[0, 2]].mean() == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("needed", [1, 2, 7, 300])
def test_fewest_machines(needed: int) -> None:
    is_enough: Callable[[int], bool] = lambda machines: machines >= needed  # noqa: E731
    assert fewest(is_enough) == needed
