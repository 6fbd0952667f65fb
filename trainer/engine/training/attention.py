"""Object masks as supervised attention: an added loss pulls the network's attention to masked objects.

The attention of a cell is the mean over the channels of the squared, positive values of the last feature map
(the activation-based attention of Zagoruyko and Komodakis, ICLR 2017), as a share of the whole map's. The
loss of a photo is −log Σ attention · mask: nought if all attention is on the objects, however it is spread
among them.

A small segmenter, one 1×1 convolution on the same feature map, learns the masks too; it reads the map and
does not change the network. After ``segmenter_after`` epochs its answer stands in for the masks that photos
lack. Neither is part of a model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.engine.networks.parts import SMALLEST
from trainer.engine.networks.taps import tap_map
from trainer.engine.recipe import Recipe

SURE = 0.5  # the segmenter sees an object where it says more; a photo without such a cell gets no mask of it


def attention(maps: Tensor) -> Tensor:
    """(n, h, w): each cell's share of the attention of feature maps (n, c, h, w)."""
    strength = maps.float().relu().square().mean(1)
    return strength / strength.sum((1, 2), keepdim=True).clamp_min(SMALLEST)


def shares_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """(n,): the share of the attention of feature maps (n, c, h, w) that is on masks (n, h, w)."""
    return (attention(maps) * masks).sum((1, 2))


class Attention(nn.Module):
    """The loss over masks, and the segmenter."""

    def __init__(self, recipe: Recipe, network: nn.Module) -> None:
        super().__init__()
        self.weight, self.segmenter_after = recipe.mask_loss, recipe.segmenter_after
        self.map, channels = tap_map(network, recipe)
        self.segmenter = nn.Conv2d(channels, 1, 1)

    def loss(self, masks: Tensor, epoch: int) -> Tensor:
        """The weighted loss of the batch that the network was called with last, after ``epoch`` epochs.

        ``masks``: (n, g, g) of any size g, NaN for photos without one.
        """
        maps: Tensor = self.map.value
        cells = F.adaptive_avg_pool2d(masks, (maps.shape[2], maps.shape[3]))
        has_mask = ~cells.isnan().flatten(1).any(1)
        guesses = self.segmenter(maps.detach().float())[:, 0]
        total = maps.new_zeros((), dtype=torch.float32)
        if has_mask.any():
            total = F.binary_cross_entropy_with_logits(guesses[has_mask], cells[has_mask])
        targets = torch.where(has_mask[:, None, None], cells, torch.zeros_like(cells))
        if self.segmenter_after and epoch >= self.segmenter_after:
            targets = torch.where(has_mask[:, None, None], targets, guesses.detach().sigmoid())
        counts = targets.flatten(1).amax(1) > torch.where(has_mask, 0.0, SURE)
        if counts.any():
            inside = shares_inside(maps[counts], targets[counts]).clamp_min(SMALLEST)
            total = total - self.weight * inside.log().mean()
        return total


class MaskFigures:
    """What attention and segmenter do on photos with masks that training never saw."""

    def __init__(self) -> None:
        self.photos = 0
        self.inside = self.area = self.overlap = self.union = 0.0

    def add(self, part: Attention, masks: Tensor) -> None:
        """Count the batch that the network was called with last; ``masks`` as in `Attention.loss`."""
        maps = part.map.value
        cells = F.adaptive_avg_pool2d(masks, (maps.shape[2], maps.shape[3]))
        rows = ~cells.isnan().flatten(1).any(1)
        if not rows.any():
            return
        maps, cells = part.map.value[rows], cells[rows]
        seen = part.segmenter(maps.float())[:, 0].sigmoid() > SURE
        self.photos += len(cells)
        self.inside += float(shares_inside(maps, cells).sum())
        self.area += float(cells.mean((1, 2)).sum())
        self.overlap += float((seen & (cells > SURE)).sum())
        self.union += float((seen | (cells > SURE)).sum())

    def as_dict(self) -> dict[str, float | int | None]:
        """Shares from 0 to 1, None without photos: of the attention on objects, of the area that objects
        cover (what an attention that is the same everywhere would have), and the segmenter's intersection
        over union.
        """
        count = self.photos
        return {
            "test_photos": count,
            "attention_inside": self.inside / count if count else None,
            "area": self.area / count if count else None,
            "segmenter_overlap": self.overlap / self.union if self.union else None,
        }
