"""The thesis's losses against values worked out by hand, their gradients by autograd."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trainer.engine.training.losses import label_weights, mean_loss

LOSSES = ("absolute", "squared", "cross_entropy")
# Probabilities 3/4 and 1/4; then 1/2, 1/4 and 1/4.
TWO = torch.tensor([[math.log(3), 0.0]], dtype=torch.float64)
THREE = torch.tensor([[math.log(2), 0.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "logits", "label", "smoothing", "value"),
    [
        ("absolute", TWO, 0, 0.0, 0.25 + 0.25),
        ("absolute", TWO, 1, 0.0, 0.75 + 0.75),
        ("absolute", THREE, 1, 0.0, 0.5 + 0.75 + 0.25),
        ("absolute", TWO, 0, 0.2, 0.15 + 0.15),  # targets 0.9 and 0.1
        ("squared", TWO, 0, 0.0, (0.25**2 + 0.25**2) / 2),
        ("squared", TWO, 1, 0.0, (0.75**2 + 0.75**2) / 2),
        ("squared", THREE, 1, 0.0, (0.5**2 + 0.75**2 + 0.25**2) / 2),
        ("squared", TWO, 0, 0.2, (0.15**2 + 0.15**2) / 2),
        ("cross_entropy", TWO, 0, 0.0, math.log(4 / 3)),
        ("cross_entropy", TWO, 0, 0.2, 0.9 * math.log(4 / 3) + 0.1 * math.log(4)),
    ],
)
def test_values_by_hand(name: str, logits: Tensor, label: int, smoothing: float, value: float) -> None:
    loss = mean_loss(name, logits, torch.tensor([label]), smoothing=smoothing)
    assert loss.item() == pytest.approx(value, abs=1e-12)


def test_weights_make_labels_more_alike_and_keep_the_size_of_the_loss() -> None:
    counts = torch.tensor([8, 2])
    assert label_weights(counts, 0).tolist() == [1, 1]
    assert label_weights(counts, 1).tolist() == pytest.approx(
        [10 / 16, 10 / 4]
    )  # 8 and 2 photos weigh 5 each
    assert (label_weights(counts, 0.5) * counts).sum().item() == pytest.approx(10)


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        # With two labels p₂ = 1 − p₁, and p₁ grows by p₁ p₂ = 3/16 for each unit of its logit.
        ("absolute", -2 * 3 / 16),  # the loss is 2 (1 − p₁)
        ("squared", -2 * 0.25 * 3 / 16),  # (1 − p₁)²
        ("cross_entropy", -0.25),  # −log p₁
    ],
)
def test_gradients_by_hand(name: str, slope: float) -> None:
    logits = TWO.clone().requires_grad_()
    mean_loss(name, logits, torch.tensor([0])).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([slope, -slope], abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_agree_with_differences(name: str, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    labels = torch.tensor([0, 3, 1, 2, 3])
    assert torch.autograd.gradcheck(lambda z: mean_loss(name, z, labels, smoothing=smoothing), (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_has_the_mean_of_its_photos(name: str) -> None:
    batch = torch.cat([TWO, -TWO])
    single = [mean_loss(name, row, torch.tensor([0])).item() for row in (TWO, -TWO)]
    assert mean_loss(name, batch, torch.tensor([0, 0])).item() == pytest.approx(sum(single) / 2)


@pytest.mark.parametrize("name", LOSSES)
def test_a_photo_counts_as_much_as_its_weight(name: str) -> None:
    logits, labels = torch.cat([TWO, TWO, TWO]), torch.tensor([0, 1, 1])
    first, second = (mean_loss(name, TWO, torch.tensor([label]), smoothing=0.1) for label in (0, 1))
    weighted = mean_loss(name, logits, labels, smoothing=0.1, weights=torch.tensor([1.0, 0.5, 0.0]))
    assert weighted.item() == pytest.approx((first.item() + 0.5 * second.item()) / 3)
    same = mean_loss(name, logits, labels, smoothing=0.1, weights=torch.ones(3))
    assert same.item() == pytest.approx(mean_loss(name, logits, labels, smoothing=0.1).item())
