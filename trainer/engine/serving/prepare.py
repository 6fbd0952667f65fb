"""What a network is asked about a photo: the whole of it or its centre, and distorted copies to average.

Needs only Pillow and numpy, because web processes use it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.engine.photos.augment import distorted, draw
from trainer.engine.preprocess import Input, resized

MOST_COPIES = 8  # each takes the network as long as the photo itself
STRENGTH = 1.0  # k of the copies, as in a recipe that does not say otherwise


@dataclass(frozen=True)
class Preparation:
    """``crop``: only the largest square in the middle, whatever the network's own rule. ``copies``: how many
    distorted copies are judged beside the photo; their probabilities are averaged with its own.
    """

    crop: bool = False
    copies: int = 0


AS_IT_IS = Preparation()


def prepared(photo: Image.Image, spec: Input, preparation: Preparation) -> NDArray[np.uint8]:
    """The RGB photo and its copies (1 + copies, size, size, 3), always distorted by the same amounts."""
    if preparation.crop:
        spec = replace(spec, resize="crop")
    views = [resized(photo, spec)]
    if preparation.copies:
        scene = _centre(photo) if spec.resize == "crop" else photo
        for copy in range(preparation.copies):
            views.append(distorted(scene, draw(STRENGTH, np.random.default_rng(copy)), spec))
    return np.stack(views)


def _centre(photo: Image.Image) -> Image.Image:
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    return photo.crop((left, top, left + side, top + side))
