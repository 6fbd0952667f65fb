"""What the engine says on pages can be translated, although the engine does not know Django."""

from __future__ import annotations

import pytest
from django.utils import translation

from notices.words import shown
from trainer.engine.evaluation.scenes import refusal
from trainer.engine.presets import PRESETS
from trainer.engine_words import PRESETS as WORDS


def test_the_words_of_all_presets_can_be_translated() -> None:
    assert {words for preset in PRESETS.values() for words in (preset.title, preset.description)} == set(
        WORDS
    )


@pytest.mark.parametrize("manifest", [{"cascade": {}}, {}, {"scenes": ["a/abbey"]}])
def test_why_a_model_cannot_be_relabelled_can_be_translated(manifest: dict[str, object]) -> None:
    words = refusal(manifest)
    with translation.override("ru"):
        assert shown(words) != words
