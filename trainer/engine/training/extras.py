"""What a recipe adds to the loss beside labels and scene classes: SUN's levels, attention to masked objects.

The parts see the network through taps and have weights of their own. Checkpoints keep these; a model does not
contain them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from formats.texts import Text, joined_texts
from trainer.engine.errors import PhotosError
from trainer.engine.events import emit
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.masks import Masks
from trainer.engine.photos.sources import Batch, PhotoSource, Source
from trainer.engine.recipe import Recipe
from trainer.engine.training.attention import Attention, MaskFigures
from trainer.engine.training.levels import Levels, groups_of, hits

Mix = tuple[Tensor, float] | None
MOST_FAULTS = 20  # named in the report
WHERE = Text(
    "A photo's file of LabelMe stands beside it (x.jpg, x.xml), or in Annotations/ as the photo in Images/."
)


class Extras(nn.Module):
    """The parts that the recipe asks for; without any, it adds nothing and has no weights."""

    def __init__(self, levels: Levels | None = None, attention: Attention | None = None) -> None:
        super().__init__()
        self.levels, self.attention = levels, attention

    def loss(self, outputs: Tensor, batch: Batch, mix: Mix, epoch: int) -> Tensor:
        """What is added to the mean loss of the batch that gave the network's ``outputs`` (n, …)."""
        total = outputs.new_zeros(())
        # Sums and logarithms of small shares need all their digits.
        with torch.autocast(outputs.device.type, enabled=False):
            if self.levels is not None:
                total = total + self._of_levels(self.levels, outputs, batch.scenes, mix)
            if self.attention is not None and batch.masks is not None:
                total = total + self.attention.loss(batch.masks, epoch)
        return total

    @staticmethod
    def _of_levels(levels: Levels, outputs: Tensor, scenes: Tensor, mix: Mix) -> Tensor:
        loss = levels.loss(outputs, scenes)
        if mix is not None:
            loss = mix[1] * loss + (1 - mix[1]) * levels.loss(outputs, scenes[mix[0]])
        return loss

    def __bool__(self) -> bool:
        return self.levels is not None or self.attention is not None


def build_extras(
    recipe: Recipe,
    network: nn.Sequential,
    source: Source,
    photos: Sequence[Photo],
    scenes: Sequence[str],
    labels: int,
) -> Extras:
    """The parts that the recipe asks for, on its network and source; ``photos`` are those of all classes.

    Raises PhotosError if the photos have no levels or no masks, RecipeError if the network cannot be tapped.
    """
    levels: Levels | None = None
    attention: Attention | None = None
    if recipe.level_loss:
        levels = Levels(recipe, network[0], groups_of(photos, scenes), labels)
    if recipe.mask_loss:
        attention = Attention(recipe, network[0])
    if recipe.mask_loss and isinstance(source, PhotoSource):
        source.masks = Masks(source.train_photos, augment=source.augment, seed=source.seed)
        if not source.masks.outlines:
            reasons = list(source.masks.faults.values())[:1]
            none = Text("none of the training photos has masks")
            raise PhotosError(joined_texts(none, *reasons, by="; "), hint=WHERE)
        emit("masks", **mask_facts(source.masks))
    return Extras(levels, attention)


def mask_facts(masks: Masks) -> dict[str, Any]:
    """How many training photos have masks, and the files that cannot be used."""
    faults = [{"photo_id": photo_id, "reason": reason} for photo_id, reason in masks.faults.items()]
    return {
        "photos": masks.count,
        "with_masks": len(masks.outlines),
        "unusable": len(faults),
        "faults": faults[:MOST_FAULTS],
    }


def measure(
    extras: Extras, source: Source, outputs_of: Callable[[], Iterator[tuple[Tensor, Batch]]]
) -> dict[str, Any]:
    """Figures of the parts on the held-out photos; ``outputs_of`` gives their batches with the network's
    outputs.

    ``levels``: the share predicted right of levels 1, 2 and 3, None for a level that no photo has.
    ``masks``: see `MaskFigures.as_dict`. Both are None if the recipe does not ask for them.
    """
    if not extras:
        return {"levels": None, "masks": None}
    masks = Masks(source.test_photos) if extras.attention is not None else None
    figures, counts = MaskFigures(), torch.zeros(3, 2)
    for outputs, batch in outputs_of():
        if extras.levels is not None:
            counts += hits(extras.levels.answers(extras.levels.scenes(outputs), batch.scenes)).cpu()
        if extras.attention is not None and masks is not None:
            figures.add(extras.attention, torch.from_numpy(masks.of(batch.places, 0)).to(outputs.device))
    counts = torch.tensor(source.ranks.sums(*counts.flatten().tolist())).view(3, 2)
    facts: dict[str, Any] = {"levels": None, "masks": None}
    if extras.levels is not None:
        facts["levels"] = [right / known if known else None for right, known in counts.tolist()]
    if masks is not None and isinstance(source, PhotoSource) and source.masks is not None:
        facts["masks"] = mask_facts(source.masks) | figures.as_dict()
    return facts
