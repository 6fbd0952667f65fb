"""Builds networks for fine-tuning: torchvision's, our backbones, and any that timm knows."""

from __future__ import annotations

import difflib
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from formats.storage import raise_if_of_storage
from formats.texts import Text
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import RecipeError, WeightsError
from trainer.engine.networks.parts import LabelLayer
from trainer.engine.networks.torchvision_shim import import_timm, import_torchvision
from trainer.engine.preprocess import Input
from trainer.engine.recipe import TORCHVISION, Recipe

# Weight of the loss of Inception's second output (Szegedy et al. 2015, and torchvision's own reference).
SECOND_LOSS = 0.4
SECOND_FROM = 299  # px: for smaller photos the second output is left out, as nothing would reach it
DOWNLOAD_SECONDS = 30.0  # without a byte, until a download is given up
Triple = tuple[float, float, float]
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def build_network(recipe: Recipe, labels: int, *, pretrained: bool = True) -> nn.Sequential:
    """Photos (n, 3, s, s) → logits (n, labels). The last layer is new; without ``pretrained`` all layers are.

    Raises RecipeError for an unknown network, WeightsError if its first weights cannot be loaded.
    """
    if recipe.network in TORCHVISION:
        network = _torchvision(recipe, labels, pretrained)
    elif recipe.network in BACKBONES:
        network = _backbone(recipe, labels, pretrained)
    else:
        network = _timm(recipe, labels, pretrained)
    return nn.Sequential(network, LabelLayer(labels))


def normalisation(network: str) -> tuple[Triple, Triple]:
    """Mean and deviation per channel, of 0…255, that the network's ImageNet weights were trained with."""
    if network in BACKBONES:
        return BACKBONES[network].input.mean, BACKBONES[network].input.std
    if network == "inception_v3":
        return (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)
    if network in TORCHVISION:
        return IMAGENET_MEAN, IMAGENET_STD
    config = _timm_config(network)
    mean, std = (tuple(255.0 * float(x) for x in values) for values in (config.mean, config.std))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


# --- torchvision

LAST = {"resnet": ("fc",), "vgg": ("classifier.6",), "inception_v": ("fc",)}


def _torchvision(recipe: Recipe, labels: int, pretrained: bool) -> nn.Module:
    models = import_torchvision().models
    options: dict[str, bool] = {}
    last: tuple[str, ...] = LAST[recipe.network.rstrip("0123456789")]
    if recipe.network == "inception_v3":
        second = recipe.image_size >= SECOND_FROM
        options = {"init_weights": True, "aux_logits": second}
        last = ("fc", "AuxLogits.fc") if second else ("fc",)
    network: nn.Module = models.get_model(recipe.network, weights=None, **options)
    if pretrained and recipe.weights != "none":
        _load(network, _first_state(models, recipe), last, recipe)
    for name in last:
        holder, _, child = name.rpartition(".")
        old = network.get_submodule(name)
        assert isinstance(old, nn.Linear)
        setattr(network.get_submodule(holder), child, nn.Linear(old.in_features, labels))
    return network


def _first_state(models: Any, recipe: Recipe) -> dict[str, Tensor]:
    if recipe.weights != "imagenet":
        return _local_state(Path(recipe.weights), recipe.network)
    weights = models.get_model_weights(recipe.network).DEFAULT
    try:
        with _download_limits():
            state: dict[str, Tensor] = weights.get_state_dict(progress=False)
    except Exception as error:  # urllib, ssl and torch.hub each fail in their own way
        file, folder = weights.url.rsplit("/", 1)[1], Path(torch.hub.get_dir()) / "checkpoints"
        raise WeightsError(
            Text(
                "the ImageNet weights of %(network)s cannot be downloaded: %(error)s",
                network=recipe.network,
                error=error,
            ),
            hint=Text(
                "Without internet access put %(file)s (from %(url)s) into %(folder)s on the "
                "worker's machine, give the path of a weight file as weights, choose "
                "efficientnet_lite0 or a frozen recipe (their weights are installed), or train "
                "from scratch with weights: none.",
                file=file,
                url=weights.url,
                folder=folder,
            ),
        ) from error
    return state


@contextmanager
def _download_limits() -> Iterator[None]:
    """End a download that hangs, and keep what torch.hub prints out of our stream of events."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)


def _local_state(path: Path, network: str) -> dict[str, Tensor]:
    """A state dict from a file, or the network inside a run's best.pt."""
    hint = Text(
        "Give a state dict of %(network)s saved with torch.save, or the best.pt of a run of it.",
        network=network,
    )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and file errors alike
        raise_if_of_storage(error)
        raise WeightsError(
            Text("%(file)s cannot be read as weights: %(error)s", file=path, error=str(error)[:200]),
            hint=hint,
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state"), dict):
        state = {k.removeprefix("0."): v for k, v in state["state"].items() if k.startswith("0.")}
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(Text("%(file)s contains no weights", file=path), hint=hint)
    return state


def _load(network: nn.Module, state: dict[str, Tensor], last: tuple[str, ...], recipe: Recipe) -> None:
    """Load all weights except those of the last layers, which will be new. All other names must match."""
    new_layers = tuple(f"{name}." for name in last)
    expected = {name for name in network.state_dict() if not name.startswith(new_layers)}
    # Inception's second output may be missing in the file and in the network.
    weights = {
        name: value
        for name, value in state.items()
        if not name.startswith(new_layers) and (name in expected or not name.startswith("AuxLogits."))
    }
    # Counters of batch normalisation are missing in old files.
    missing = {
        name
        for name in expected - weights.keys()
        if not name.endswith("num_batches_tracked") and not name.startswith("AuxLogits.")
    }
    if missing or weights.keys() - expected:
        odd = sorted(missing) or sorted(weights.keys() - expected)
        raise WeightsError(
            Text(
                "%(weights)s contains no weights of %(network)s: %(first)s is %(wrong)s, and %(n)s more",
                weights=recipe.weights,
                network=recipe.network,
                first=odd[0],
                wrong=Text("missing") if missing else Text("none of its weights"),
                n=len(odd) - 1,
            ),
            hint=Text(
                "Give a state dict of %(network)s, or choose the network that the file belongs to.",
                network=recipe.network,
            ),
        )
    try:
        network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        reason = str(error).split("\n")[1:2] or [str(error)]
        raise WeightsError(
            Text(
                "%(weights)s does not fit %(network)s: %(why)s",
                weights=recipe.weights,
                network=recipe.network,
                why=reason[0].strip(),
            )
        ) from error


# --- a backbone of the table, with all of its weights trained


def _backbone(recipe: Recipe, labels: int, pretrained: bool) -> nn.Module:
    entry = BACKBONES[recipe.network]
    backbone = entry.build(pretrained=False)
    if pretrained and recipe.weights == "imagenet":
        backbone = entry.load().requires_grad_(True)
    network = nn.Sequential(backbone, nn.Dropout(0.2), nn.Linear(entry.features, labels))
    if pretrained and recipe.weights not in ("imagenet", "none"):
        _load(network, _local_state(Path(recipe.weights), recipe.network), ("2",), recipe)
    return network


# --- timm


def _timm_config(network: str) -> Any:
    timm = import_timm()
    config = timm.models.get_pretrained_cfg(network) if timm.is_model(network) else None
    if config is None:
        if timm.is_model(network):  # timm knows it without trained weights: use ImageNet's usual values
            return timm.models.PretrainedCfg()
        near = difflib.get_close_matches(network, [*TORCHVISION, *BACKBONES, *timm.list_models()], 3)
        hint = Text("timm.list_models() lists all of timm's.")
        if near:
            hint = Text("Did you mean %(names)s?", names=", ".join(near))
        raise RecipeError(
            "network",
            Text("neither torchvision nor timm has a network %(network)s", network=network),
            hint=hint,
        )
    return config


def _timm(recipe: Recipe, labels: int, pretrained: bool) -> nn.Module:
    _timm_config(recipe.network)
    download = pretrained and recipe.weights == "imagenet"
    options: dict[str, Any] = {"num_classes": labels, "pretrained": download}
    try:
        with _download_limits():
            network = _timm_network(recipe, options)
    except Exception as error:  # the hub's client, urllib, ssl and timm each fail in their own way
        if not download:
            raise
        raise WeightsError(
            Text(
                "the ImageNet weights of %(network)s cannot be downloaded: %(error)s",
                network=recipe.network,
                error=str(error)[:300],
            ),
            hint=Text(
                "Without internet access put them into timm's cache on the worker's machine "
                "(HF_HOME), give the path of a weight file as weights, or train from scratch "
                "with weights: none."
            ),
        ) from error
    if pretrained and recipe.weights not in ("imagenet", "none"):
        last: Any = network.default_cfg["classifier"]  # type: ignore[index]
        names = (last,) if isinstance(last, str) else tuple(last)
        _load(network, _local_state(Path(recipe.weights), recipe.network), names, recipe)
    return network


def _timm_network(recipe: Recipe, options: dict[str, Any]) -> nn.Module:
    """Transformers need the photo size as an argument; convolutional networks refuse it."""
    timm = import_timm()
    try:
        network: nn.Module = timm.create_model(recipe.network, img_size=recipe.image_size, **options)
        return network
    except TypeError:
        plain: nn.Module = timm.create_model(recipe.network, **options)
        return plain


def input_of(recipe: Recipe) -> Input:
    """The photos that the recipe's network expects. Joined backbones share the input of the first."""
    if recipe.kind == "frozen":
        return BACKBONES[recipe.backbones[0]].input
    from trainer.engine.networks.finetuned import normalisation

    return Input(recipe.image_size, *normalisation(recipe.network))
