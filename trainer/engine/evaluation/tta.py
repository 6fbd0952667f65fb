"""Test-time augmentation: averages the probabilities of distorted copies of each test photo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.engine.evaluation.report import softmax
from trainer.engine.photos.sources import Batch, PhotoSource

# Far beyond any epoch, so that no test copy is distorted by the same amounts as a training photo.
FIRST = 1_000_000
SMALLEST = 1e-12

Predict = Callable[[Iterator[Batch]], tuple[NDArray[Any], NDArray[Any]]]


def average_copies(
    predict: Predict, source: PhotoSource, *, copies: int, strength: float
) -> NDArray[np.float32]:
    """Logarithms (n, c) of the test photos' probabilities, averaged over ``copies`` copies of each photo.

    ``predict`` takes batches and returns logits (n, c) and labels (n,). As in the thesis, every copy is
    distorted by the transforms of training at ``strength``.
    """
    total: NDArray[np.float64] | None = None
    for copy in range(copies):
        logits, _ = predict(source.test_batches(augment=strength, epoch=FIRST + copy))
        probabilities = softmax(logits)
        total = probabilities if total is None else total + probabilities
    assert total is not None
    return np.log(np.maximum(total / copies, SMALLEST)).astype(np.float32)
