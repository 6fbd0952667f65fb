"""The running average of weights against values worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.engine.training.ema import averaged


@pytest.mark.parametrize(
    ("decay", "mean"),
    [
        (0.9, 1 * 2 / 11 + 2 * 9 / 11),  # (1 + 1) / (10 + 1) of the first is kept, as that is less than 0.9
        (0.1, 1 * 0.1 + 2 * 0.9),
    ],
)
def test_it_keeps_its_share_and_less_at_first(decay: float, mean: float) -> None:
    network = nn.Linear(1, 1)
    average = averaged(network, decay)
    for value in (1.0, 2.0):
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)
    assert average.module.get_parameter("weight").item() == pytest.approx(mean, rel=1e-6)


def test_it_averages_the_statistics_of_norms_and_copies_their_counters() -> None:
    network = nn.BatchNorm1d(1)
    average = averaged(network, 0.1)
    for value in (1.0, 2.0):
        network(torch.full((4, 1), value))
        average.update_parameters(network)
    # The statistics were 0.1 · 1, then 0.9 of that and 0.1 · 2.
    assert average.module.get_buffer("running_mean").item() == pytest.approx(0.1 * 0.1 + 0.9 * 0.29, rel=1e-6)
    assert int(average.module.get_buffer("num_batches_tracked")) == 2
