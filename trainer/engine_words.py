"""Words of the engine's presets, for translation: the engine does not know Django. Its other texts are Texts.

A test names what is missing here.
"""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

PRESETS = (
    gettext_noop("Frozen EfficientNet-Lite0"),
    gettext_noop(
        "A linear layer on the features of a pretrained network. Minutes on a laptop, nothing to download."
    ),
    gettext_noop("Frozen EfficientNet-Lite2"),
    gettext_noop("The same with a larger network at 260 px: a little more accurate, twice the time."),
    gettext_noop("Frozen CLIP ViT-B/16"),
    gettext_noop(
        "The same with a network that has seen 400 million captioned photos: far more accurate, ten "
        "times the time. Its weights have to be fetched on the worker's machine: make clip."
    ),
    gettext_noop("Fine-tuned EfficientNet-Lite0, fast"),
    gettext_noop("Small photos first, the head before the rest, rates by part. No download."),
    gettext_noop("Fine-tuned EfficientNet-Lite0"),
    gettext_noop(
        "Trains all weights, starting from the installed ones of ImageNet. Best with a GPU; no download."
    ),
    gettext_noop("Fine-tuned ResNet-18"),
    gettext_noop(
        "Trains all weights, starting from those of ImageNet, which it downloads once. Best with a GPU."
    ),
    gettext_noop("Fine-tuned ResNet-34"),
    gettext_noop("The founding study's network with a recipe of ours. Needs a GPU to finish within a day."),
    gettext_noop("ResNet-18 from scratch, small photos"),
    gettext_noop(
        "Starts without pretrained weights: to try the training program, or as a baseline to compare with."
    ),
    gettext_noop("Table 3: Inception v3"),
    gettext_noop(
        "Adam, 299 px, no augmentation; stops when balanced accuracy has not grown by 0.5 % in 5 epochs."
    ),
    gettext_noop("Table 3: VGG 11"),
    gettext_noop(
        "Adam, 256 px, no augmentation; stops when balanced accuracy has not grown by 0.5 % in 5 epochs."
    ),
    gettext_noop("Table 3: VGG 13"),
    gettext_noop("Table 3: ResNet 18"),
    gettext_noop("Table 3: ResNet 34"),
    gettext_noop("Table 3: ResNet 50"),
    gettext_noop("Table 4, row 1: Adam 0.01, k = 1, 256 px"),
    gettext_noop("ResNet 34; stops when balanced accuracy has not grown by 0.5 % in 15 epochs."),
    gettext_noop("Table 4, row 2: SGD 0.01, k = 1, 256 px"),
    gettext_noop("Table 4, row 3: SGD 0.1, k = 1, 256 px"),
    gettext_noop("Table 4, row 4: SGD 0.01, k = 3, 256 px"),
    gettext_noop("Table 4, row 5: SGD 0.01, k = 5, 256 px"),
    gettext_noop("Table 4, row 6: SGD annealing T = 3, k = 1, 256 px"),
    gettext_noop("Table 4, row 7: Adam 0.001, k = 2, 256 px"),
    gettext_noop("Table 4, row 8: SGD 0.01, k = 1, 512 px"),
    gettext_noop(
        "ResNet 34; stops when balanced accuracy has not grown by 0.5 % in 15 epochs. The thesis's "
        "chosen model."
    ),
    gettext_noop("Table 4, row 8: SGD 0.01, k = 1, 512 px, with 8 test copies"),
    gettext_noop(
        "The same training. Its report also has the figures with 8 distorted copies of each test photo; "
        "the thesis gained about 0.01 by them."
    ),
    gettext_noop("Table 4, row 9: SGD annealing T = 3, k = 2, 512 px"),
    gettext_noop("Table 4, row 10: SGD annealing T = 50, k = 2, 512 px"),
    gettext_noop("Table 4, row 11: SGD 0.01, k = 2, 512 px"),
)


def translated(words: str) -> str:
    """The words in the reader's language; unknown and empty ones as they are."""
    return gettext(words) if words else words
