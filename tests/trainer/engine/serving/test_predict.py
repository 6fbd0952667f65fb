"""What a model says about photos, and when it stays silent."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.engine.conftest import write_photo
from trainer.engine.evaluation.calibrate import suggestions
from trainer.engine.serving.predict import Suggester

# One process for all that use the finished run of conftest.py: it takes seconds to train.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]


@pytest.fixture(scope="session")
def suggester(model: Path) -> Suggester:
    return Suggester(model, batch=2)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = []
    for at, scene_class in enumerate(("a/alley", "b/beach", "p/pantry")):
        paths.append(tmp_path / f"{at}.jpg")
        write_photo(paths[-1], scene_class, 500 + at)
    return paths


def test_photos_are_answered_in_order(suggester: Suggester, photos: list[Path]) -> None:
    paths = photos * 3
    answers = list(suggester.suggest(paths))
    assert [suggestion.file for suggestion in answers] == [str(path) for path in paths]
    assert [suggestion.candidates[0][0] for suggestion in answers[:3]] == ["street", "water", "other"]


def test_other_is_silence(suggester: Suggester, photos: list[Path]) -> None:
    (suggestion,) = suggester.suggest([photos[2]])
    assert suggestion.hashtag is None
    assert suggestion.reason == "other: none of the hashtags fits"
    assert suggestion.as_dict()["candidates"][0]["hashtag"] == "other"


def test_below_its_threshold_a_hashtag_is_not_suggested(model: Path, photos: list[Path]) -> None:
    careful, bold = Suggester(model), Suggester(model)
    careful.network.temperature = bold.network.temperature = 10.0
    careful.thresholds, bold.thresholds = {"water": 0.99}, {"water": 0.0}
    (silent,), (answer,) = careful.suggest([photos[1]]), bold.suggest([photos[1]])
    assert (silent.hashtag, answer.hashtag) == (None, "water")
    assert silent.reason is not None
    assert silent.reason.startswith("unsure: ")
    assert silent.reason.endswith("needed for #water")
    assert answer.reason is None


def test_at_its_threshold_a_hashtag_is_suggested(model: Path, photos: list[Path]) -> None:
    suggester = Suggester(model)
    (before,) = suggester.suggest([photos[1]])
    confidence = before.probabilities["water"]
    suggester.thresholds = {"water": confidence}
    (at,) = suggester.suggest([photos[1]])
    suggester.thresholds = {"water": math.nextafter(confidence, 2)}
    (above,) = suggester.suggest([photos[1]])
    assert (at.hashtag, above.hashtag) == ("water", None)
    # The figures of an export count suggestions by the same rule.
    rows = np.array([[confidence, 1 - confidence]])
    assert suggestions(rows, ["water", "other"], {"water": confidence}).tolist() == [0]


def test_one_bad_photo_does_not_stop_the_others(suggester: Suggester, photos: list[Path]) -> None:
    answers = list(suggester.suggest([photos[0], b"nothing", photos[0].parent / "gone.jpg", photos[1]]))
    assert [suggestion.reason and suggestion.reason.split(":")[0] for suggestion in answers[1:3]] == [
        "unreadable",
        "unreadable",
    ]
    assert answers[2].reason == "unreadable: no such file"
    assert answers[3].candidates[0][0] == "water"


def test_photos_come_as_paths_bytes_files_and_images(suggester: Suggester, photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    answers = list(suggester.suggest([str(photos[0]), content, io.BytesIO(content), Image.open(photos[0])]))
    assert len({suggestion.candidates for suggestion in answers}) == 1


def test_photos_are_read_a_batch_at_a_time(suggester: Suggester, photos: list[Path]) -> None:
    n_read = 0

    def count() -> Iterator[Path]:
        nonlocal n_read
        for path in photos * 4:
            n_read += 1
            yield path

    next(suggester.suggest(count()))
    assert n_read == suggester.batch
