"""Every family of networks: a new last layer, initial weights, output for a batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from trainer.engine.errors import RecipeError, WeightsError
from trainer.engine.networks.finetuned import build_network, input_of, normalisation
from trainer.engine.networks.onnx import write_onnx
from trainer.engine.photos.sources import Batch
from trainer.engine.recipe import Recipe
from trainer.engine.serving.export import TOLERANCE, differences, rebuild
from trainer.engine.training import checkpoint
from trainer.engine.training.criterion import Criterion

LABELS = 4
pytestmark = pytest.mark.integration  # PyTorch, torchvision and timm take seconds to import


def recipe(network: str, **settings: object) -> Recipe:
    size = 75 if network == "inception_v3" else 32
    return Recipe.from_dict(
        {
            "kind": "finetune",
            "network": network,
            "weights": "none",
            "image_size": size,
            "mixup": 0.0,
            **settings,
        }
    )


def batch(size: int) -> Batch:
    return Batch(torch.randn(2, 3, size, size), torch.tensor([0, 1]), torch.tensor([0, 1]))


def test_at_its_own_size_inception_has_its_second_output() -> None:
    network = build_network(recipe("inception_v3", image_size=299), LABELS)
    outputs = network[0].train()(torch.randn(2, 3, 299, 299))
    assert outputs.logits.shape == outputs.aux_logits.shape == (2, LABELS)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet34",
        "resnet50",
        "inception_v3",
        "vgg11",
        "vgg13",
        "efficientnet_lite0",
        "test_resnet",
        "vit_tiny_patch16_224",
    ],
)
def test_every_family_learns_and_answers(name: str) -> None:
    settings = recipe(name)
    network = build_network(settings, LABELS)
    photos = batch(settings.image_size)
    loss, _ = Criterion(settings)(network.train(), photos, None)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
    with torch.inference_mode():
        assert network.eval()(photos.inputs).shape == (2, LABELS)


def test_the_second_output_of_inception_weighs_two_fifths() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> object:
            from types import SimpleNamespace

            return SimpleNamespace(logits=x[:, :LABELS], aux_logits=x[:, LABELS:])

    settings = recipe("inception_v3", label_smoothing=0.0)
    inputs = torch.randn(2, 2 * LABELS)
    target = torch.tensor([0, 1])
    both, _ = Criterion(settings)(nn.Sequential(Two(), nn.Identity()), Batch(inputs, target, target), None)
    entropy = nn.functional.cross_entropy
    assert both.item() == pytest.approx(
        (entropy(inputs[:, :LABELS], target) + 0.4 * entropy(inputs[:, LABELS:], target)).item()
    )


@pytest.mark.parametrize("mix", [None, (torch.tensor([1, 0]), 0.75)])
def test_photos_out_of_scope_weigh_what_the_recipe_says(mix: tuple[Tensor, float] | None) -> None:
    inputs, target = torch.randn(2, LABELS), torch.tensor([0, 1])
    scenes = ["a/abbey", "_other/pets"]

    def loss(negatives: float) -> float:
        criterion = Criterion(recipe("resnet18", negatives=negatives), scene_classes=scenes)
        network = nn.Sequential(nn.Identity(), nn.Identity())
        return criterion(network, Batch(inputs, target, target), mix)[0].item()

    none, half, one = (loss(weight) for weight in (0.0, 0.5, 1.0))
    assert none < one
    assert half == pytest.approx((none + one) / 2)
    assert one == pytest.approx(loss(1.0 + 1e-9), rel=1e-6)


def test_each_part_of_a_mix_weighs_what_its_photo_does() -> None:
    """A photo that weighs nothing teaches its label neither as the larger part nor as the smaller one."""
    inputs, target = torch.randn(2, LABELS), torch.tensor([0, 1])
    plain = recipe("resnet18", negatives=0.0, label_smoothing=0.0)
    criterion = Criterion(plain, scene_classes=["a/abbey", "_other/pets"])
    network = nn.Sequential(nn.Identity(), nn.Identity())
    loss, _ = criterion(network, Batch(inputs, target, target), (torch.tensor([1, 0]), 0.75))
    mixed, abbey = 0.75 * inputs + 0.25 * inputs.flip(0), torch.tensor([0, 0])
    first, second = nn.functional.cross_entropy(mixed, abbey, reduction="none").tolist()
    assert loss.item() == pytest.approx((0.75 * first + 0.25 * second) / 2)


def test_an_unknown_network_names_its_neighbours() -> None:
    with pytest.raises(RecipeError, match="resnet19") as error:
        build_network(recipe("resnet19"), LABELS)
    assert "resnet18" in error.value.hint


def test_each_has_the_input_its_weights_were_trained_with() -> None:
    assert normalisation("inception_v3")[0] == (127.5, 127.5, 127.5)
    assert normalisation("efficientnet_lite0")[1] == (128.0, 128.0, 128.0)
    assert normalisation("resnet34")[0] == pytest.approx((123.675, 116.28, 103.53))
    assert normalisation("vit_tiny_patch16_224")[0] == (127.5, 127.5, 127.5)
    assert input_of(recipe("resnet18")).size == 32


def test_a_local_file_gives_all_but_the_last_layer(tmp_path: Path) -> None:
    file = tmp_path / "mine.pt"
    other = build_network(recipe("resnet18"), 7)[0]
    torch.save(other.state_dict(), file)
    network = build_network(recipe("resnet18", weights=str(file)), LABELS)[0]
    assert torch.equal(network.get_parameter("conv1.weight"), other.get_parameter("conv1.weight"))
    assert network.get_parameter("fc.weight").shape == (LABELS, 512)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.pt"
    torch.save(build_network(recipe("resnet18"), 7)[0].state_dict(), file)
    with pytest.raises(WeightsError, match="contains no weights of resnet34"):
        build_network(recipe("resnet34", weights=str(file)), LABELS)
    with pytest.raises(WeightsError, match="cannot be read"):
        build_network(recipe("resnet18", weights=str(tmp_path / "none.pt")), LABELS)


def test_packaged_weights_train() -> None:
    network = build_network(recipe("efficientnet_lite0", weights="imagenet"), LABELS)
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", 32),
        ("inception_v3", 75),
        ("efficientnet_lite0", 32),
        ("test_vit", 32),
    ],
)
def test_a_run_of_any_family_is_exported_from_its_weights_alone(tmp_path: Path, name: str, size: int) -> None:
    settings = recipe(name, image_size=size)
    network = build_network(settings, LABELS)
    content = {"recipe": settings.as_dict(), "labels": ["a", "b", "c", "d"], "state": network.state_dict()}
    checkpoint.save(tmp_path / "best.pt", content)
    rebuilt, _, _ = rebuild(tmp_path)
    write_onnx(rebuilt, input_of(settings), tmp_path / "model.onnx", outputs=("logits",))
    photos = torch.randn(3, 3, size, size)  # a batch size that the exporter did not see
    with torch.inference_mode():
        assert torch.allclose(rebuilt(photos), network.eval()(photos), atol=1e-5)
    gaps = differences(network.eval(), tmp_path / "model.onnx", photos.numpy(), 1.0)
    assert gaps.max() < TOLERANCE
