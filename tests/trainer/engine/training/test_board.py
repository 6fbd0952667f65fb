"""TensorBoard logs, read back by TensorBoard's own reader."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.trainer.engine.conftest import write_photo
from trainer.engine.photos.manifest import Photo
from trainer.engine.preprocess import Input
from trainer.engine.recipe import Recipe
from trainer.engine.training.board import Board, confusion_picture, surest_wrong

LABELS = ["street", "water"]


@pytest.fixture(autouse=True)
def _files_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard reads files by name, and names of one second and process end with a count: 10 before 9."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"images": 0})
    reader.Reload()
    return reader


def row(epoch: int, loss: float) -> dict[str, Any]:
    return {"epoch": epoch, "loss": loss, "accuracy": 0.5, "lr": 0.1, "gpu_memory_mb": None}


def photos(folder: Path, count: int) -> list[Photo]:
    for at in range(count):
        write_photo(folder / f"{at}.jpg", "a/alley", at)
    return [Photo(str(at), str(folder / f"{at}.jpg"), "street", "a/alley") for at in range(count)]


def test_what_a_killed_run_logged_after_its_checkpoint_is_forgotten(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.begin(Recipe(), 0)
        for epoch in (1, 2, 3):
            board.epoch(epoch * 10, row(epoch, 9.0))
    with Board(tmp_path) as board:
        board.begin(Recipe(), 10)  # the checkpoint was of epoch 1
        for epoch in (2, 3):
            board.epoch(epoch * 10, row(epoch, 1.0))
    points = read(tmp_path).Scalars("loss/training")
    assert [(point.step, point.value) for point in points] == [(10, 9.0), (20, 1.0), (30, 1.0)]


def test_a_run_that_starts_again_forgets_all_entries(tmp_path: Path) -> None:
    for loss in (2.0, 1.0):
        with Board(tmp_path) as board:
            board.begin(Recipe(), 0)
            board.step(0, loss=loss, lr=0.1)
    assert [point.value for point in read(tmp_path).Scalars("loss/running epoch")] == [1.0]


def test_the_recipe_can_be_read(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.begin(Recipe(lr=0.125), 0)
    text = read(tmp_path).Tensors("recipe/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| lr | 0.125 |" in text


def test_training_photos_are_put_back_to_pixels(tmp_path: Path) -> None:
    spec = Input(8, (100.0, 100.0, 100.0), (50.0, 50.0, 50.0))
    batch = np.full((20, 3, 8, 8), 2.0, np.float32)
    with Board(tmp_path) as board:
        board.begin(Recipe(), 0)
        board.training_photos(0, batch, spec)
    image = Image.open(io.BytesIO(read(tmp_path).Images("training photos")[0].encoded_image_string))
    assert image.size == (32, 32)  # 16 of the 20, 4 in a row
    assert image.getpixel((5, 5)) == (200, 200, 200)


def test_the_surest_wrong_answers_come_first(tmp_path: Path) -> None:
    logits = np.array([[3.0, 0.0], [0.0, 1.0], [0.0, 5.0], [0.0, 9.0]])
    given = photos(tmp_path, 4)
    given[3] = Photo("gone", str(tmp_path / "gone.jpg"), "street", "a/alley")
    words = [words for _, words in surest_wrong(given, logits, LABELS)]
    assert words == ["street, taken for\nwater 99%", "street, taken for\nwater 73%"]


def test_pictures_of_the_results_are_logged(tmp_path: Path) -> None:
    with Board(tmp_path / "logs") as board:
        board.begin(Recipe(), 0)
        board.results(7, [[1, 1], [0, 2]], LABELS, photos(tmp_path, 2), np.array([[3.0, 0.0], [0.0, 1.0]]))
    tags = read(tmp_path / "logs").Tags()["images"]
    assert sorted(tags) == ["confusion matrix", "surest wrong answers"]


def test_the_confusion_picture_is_darker_where_more_photos_are() -> None:
    picture = confusion_picture(np.array([[9, 1], [0, 5]]), LABELS, cell=20)
    margin = len(picture) - 40
    corners = [picture[margin + at, margin + at, 0] for at in (1, 21)]
    assert corners[1] < corners[0] < picture[margin + 1, margin + 21, 0]


def test_without_tensorboard_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with Board(tmp_path / "logs") as board:
        board.begin(Recipe(), 0)
        board.epoch(1, row(1, 1.0))
        board.results(1, [[1, 1], [0, 2]], LABELS, photos(tmp_path, 2), np.zeros((2, 2)))
    assert not (tmp_path / "logs").exists()
