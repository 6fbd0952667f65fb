"""What the engine says on pages can be translated, although the engine does not know Django."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import translation

from formats.texts import text_of
from jobs.lease import JobError, claim
from jobs.processes import run_process
from jobs.queue import enqueue
from notices.words import shown
from trainer.engine.errors import ModelError
from trainer.engine.evaluation.scenes import refusal
from trainer.engine.networks.teacher import Teacher
from trainer.engine.presets import PRESETS
from trainer.engine_words import PRESETS as WORDS
from trainer.models import TrainedModel
from trainer.programs import engine_command


def test_the_words_of_all_presets_can_be_translated() -> None:
    assert {words for preset in PRESETS.values() for words in (preset.title, preset.description)} == set(
        WORDS
    )


@pytest.mark.django_db
def test_an_error_of_the_engine_comes_to_the_page_with_what_fills_it_in(tmp_path: Path) -> None:
    lease = claim(enqueue(kind="test", title="t", by=None).pk)
    assert lease
    task = tmp_path / "job.json"
    task.write_text('{"recipe": {"kind": "frozen", "batch_size": 1}}')
    with pytest.raises(JobError) as error:
        run_process(lease, engine_command("train", task), lambda event: None)
    assert str(error.value) == "batch_size: 1 must be from 2 to 4096"
    with translation.override("ru"):
        assert shown(text_of(error.value)) == "batch_size: вместо 1 нужно от 2 до 4096"


@pytest.mark.django_db
def test_a_teacher_is_named_in_the_readers_language(tiny_model: TrainedModel) -> None:
    (tiny_model.folder / "model.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError) as error:
        Teacher.read(tiny_model.folder).session()
    with translation.override("ru"):
        assert shown(error.value.message).startswith(f"учитель {tiny_model.folder.name} не загружается: ")


@pytest.mark.parametrize("manifest", [{"cascade": {}}, {}, {"scenes": ["a/abbey"]}])
def test_why_a_model_cannot_be_relabelled_can_be_translated(manifest: dict[str, object]) -> None:
    words = refusal(manifest)
    with translation.override("ru"):
        assert shown(words) != words
