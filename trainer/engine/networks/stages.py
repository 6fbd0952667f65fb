"""The parts of a network from photo to answer, for learning rates by part and for parts that learn later."""

from __future__ import annotations

from torch import nn

PARTS = 4  # before the head
# Outputs other than the last layer: they are new as well. torchvision's Inception has one.
OTHER_HEADS = ("AuxLogits",)


def parts_of(network: nn.Module) -> list[list[nn.Parameter]]:
    """The network's weights in PARTS parts of about as many blocks each, and its head: the last layer.

    A block is what has a number in the weights' names, such as ``layer1.0``, or a named child; one of vectors
    alone, such as a norm, belongs to the block before it. Networks list their children in the order in which
    photos pass them.
    """
    named: dict[str, list[nn.Parameter]] = {}
    heads: list[nn.Parameter] = []
    for name, weight in network.named_parameters():
        if name.startswith(OTHER_HEADS):
            heads.append(weight)
        else:
            named.setdefault(_block(name), []).append(weight)
    blocks: list[list[nn.Parameter]] = []
    for block in named.values():
        if blocks and all(weight.ndim <= 1 for weight in block):
            blocks[-1] += block
        else:
            blocks.append(block)
    *body, last = blocks
    parts: list[list[nn.Parameter]] = [[] for _ in range(PARTS)]
    for at, block in enumerate(body):
        parts[at * PARTS // len(body)] += block
    return [*parts, heads + last]


def _block(name: str) -> str:
    """``layer1.0.conv1.weight`` → ``layer1.0``, and ``conv1.weight`` → ``conv1``.

    A number in front belongs to a wrapper around the network: ``0._blocks.3.…`` → ``0._blocks.3``.
    """
    words = name.split(".")[:-1] or [name]
    first = 1 if words[0].isdigit() else 0
    for at in range(first + 1, len(words)):
        if words[at].isdigit():
            return ".".join(words[: at + 1])
    return ".".join(words[: first + 1])


class Thaw:
    """Freezes the parts of a network that do not learn yet: first the head learns."""

    def __init__(self, network: nn.Module, unfreeze: float) -> None:
        """``unfreeze``: epochs until one more part learns; 0: all learn from the start."""
        self.network, self.unfreeze = network, unfreeze
        self.parts = parts_of(network) if unfreeze else []

    def freeze(self, epochs: float) -> None:
        """Let those parts of a network in training learn that do so after so many epochs.

        The norms of the others keep their statistics.
        """
        if not self.unfreeze:
            return
        frozen = max(0, PARTS - int(epochs / self.unfreeze))
        for at, part in enumerate(self.parts):
            for weight in part:
                weight.requires_grad_(at >= frozen)
        for module in self.network.modules():
            weights = list(module.parameters(recurse=False))
            if weights and not any(weight.requires_grad for weight in weights):
                module.eval()
