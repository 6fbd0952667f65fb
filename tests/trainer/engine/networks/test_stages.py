"""A network in four parts and a head: of about as many blocks each, learning one after the other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.engine.networks.finetuned import build_network
from trainer.engine.networks.stages import PARTS, Thaw, parts_of
from trainer.engine.recipe import Recipe

pytestmark = pytest.mark.integration  # PyTorch, torchvision and timm take seconds to import


def network_of(name: str, size: int = 32) -> nn.Module:
    settings = {"kind": "finetune", "network": name, "weights": "none", "image_size": size}
    return build_network(Recipe.from_dict(settings), 4)[0]


def names_of(network: nn.Module) -> list[set[str]]:
    """Of each part, the first two words of its weights' names."""
    by_weight = {weight: name for name, weight in network.named_parameters()}
    return [{".".join(by_weight[weight].split(".")[:2]) for weight in part} for part in parts_of(network)]


def test_the_parts_of_resnet_18_are_its_four_stages() -> None:
    stem, *stages, head = names_of(network_of("resnet18"))
    assert {name.split(".")[0] for name in stem} == {"conv1", "bn1", "layer1"}
    assert stages == [{f"layer{at}.0", f"layer{at}.1"} for at in (2, 3, 4)]
    assert head == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("name", "size", "head"),
    [
        ("efficientnet_lite0", 32, {"2.weight", "2.bias"}),
        ("vgg11", 32, {"classifier.6"}),
        ("inception_v3", 299, {"AuxLogits.conv0", "AuxLogits.conv1", "AuxLogits.fc", "fc.weight", "fc.bias"}),
        ("test_vit", 32, {"head.weight", "head.bias"}),
    ],
)
def test_each_weight_is_in_one_part_and_the_last_is_the_head(name: str, size: int, head: set[str]) -> None:
    network = network_of(name, size)
    parts = parts_of(network)
    assert len(parts) == PARTS + 1
    assert all(parts)
    weights = [weight for part in parts for weight in part]
    assert sorted(map(id, weights)) == sorted(map(id, network.parameters()))
    assert names_of(network)[-1] == head


@pytest.mark.parametrize(
    ("epochs", "learning"),
    [
        (0, ["fc"]),
        (0.49, ["fc"]),
        (0.5, ["fc", "layer4"]),
        (1.5, ["fc", "layer2", "layer3", "layer4"]),
        (9, ["bn1", "conv1", "fc", "layer1", "layer2", "layer3", "layer4"]),
    ],
)
def test_parts_learn_one_after_the_other(epochs: float, learning: list[str]) -> None:
    network = network_of("resnet18").train()
    Thaw(network, 0.5).freeze(epochs)
    found = {name.split(".")[0] for name, weight in network.named_parameters() if weight.requires_grad}
    assert sorted(found) == learning


def test_frozen_norms_keep_their_statistics() -> None:
    network = network_of("resnet18").train()
    Thaw(network, 1).freeze(1)
    network(torch.randn(2, 3, 32, 32))
    counts = {name: int(count) for name, count in network.state_dict().items() if name.endswith("tracked")}
    assert {count for name, count in counts.items() if name.startswith("layer4")} == {1}
    assert {count for name, count in counts.items() if not name.startswith("layer4")} == {0}
