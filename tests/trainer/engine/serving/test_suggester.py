"""When a model suggests and when it is silent, on a network whose answers can be computed by hand."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from formats.storage import StorageFailure
from tests.trainer.engine.bombs import encoded
from trainer.engine import opening
from trainer.engine.budget import DECODING, Budget, DecodersBusy, patience
from trainer.engine.costs import bytes_needed
from trainer.engine.errors import ModelError
from trainer.engine.opening import Source, open_checked
from trainer.engine.serving.judge import BLOCKED, judge
from trainer.engine.serving.predict import NO_NUMBER, Suggester
from trainer.engine.serving.prepare import Preparation, prepared

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
LABELS = ["beach", "water", "other", "street"]
P_RED = float(np.exp(1) / (np.exp(1) + 2 * np.exp(-1) + 1))  # of "beach": its logits are 1, −1, −1, 0
MANIFEST = {
    "format": "scenetag-model/1",
    "labels": LABELS,
    "thresholds": {"beach": 0.5, "water": 0.5},
    "temperature": 1.0,
    "input": {"size": 32, "resize": "squeeze", "mean": [127.5] * 3, "std": [127.5] * 3},
}
Make = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> Make:
    """A folder with a network that knows colours: red is "beach", green is "water", blue is "other"."""

    def make(name: str = "model", **changes: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(MANIFEST | changes), encoding="utf-8")
        outputs = {"logits": np.eye(3, 4, dtype=np.float32)}
        if "scenes" in changes:
            outputs["scenes"] = np.eye(3, 2, dtype=np.float32)
        nodes = [helper.make_node("ReduceMean", ["photos", "axes"], ["mean"], keepdims=0)]
        nodes += [helper.make_node("MatMul", ["mean", f"w_{key}"], [key]) for key in outputs]
        graph = helper.make_graph(
            nodes,
            "colours",
            [helper.make_tensor_value_info("photos", TensorProto.FLOAT, ["n", 3, 32, 32])],
            [
                helper.make_tensor_value_info(key, TensorProto.FLOAT, ["n", weights.shape[1]])
                for key, weights in outputs.items()
            ],
            [numpy_helper.from_array(weights, f"w_{key}") for key, weights in outputs.items()]
            + [numpy_helper.from_array(np.array([2, 3]), "axes")],
        )
        network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.save(network, folder / "model.onnx")
        return folder

    return make


def photo(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (40, 40), colour)


def png(colour: tuple[int, int, int]) -> bytes:
    return encoded(photo(colour))


class Late(io.BytesIO):
    """A file that cannot be read before something else has happened."""

    def __init__(self, content: bytes, *, after: threading.Event) -> None:
        super().__init__(content)
        self.after = after

    def read(self, size: int | None = -1) -> bytes:
        assert self.after.wait(60)
        return super().read(size)


class Broken(io.BytesIO):
    """A file whose disk fails."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


def test_it_suggests_from_its_threshold_on(make_model: Make) -> None:
    suggester = Suggester(make_model())
    (suggestion,) = suggester.suggest([photo(RED)])
    exact = suggestion.probabilities["beach"]
    suggester.thresholds["beach"] = exact
    (at,) = suggester.suggest([photo(RED)])
    suggester.thresholds["beach"] = np.nextafter(exact, 1)
    (below,) = suggester.suggest([photo(RED)])
    assert (suggestion.hashtag, at.hashtag, below.hashtag) == ("beach", "beach", None)
    assert below.reason == "unsure: 0.61 < 0.61 needed for #beach"
    assert suggestion.reason is None
    assert suggestion.confidence == round(P_RED, 4)


@pytest.mark.parametrize(
    ("threshold", "reason"),
    [
        (1.0, "unsure: 0.61 < 1.00 needed for #beach"),
        (1.01, "unsure: #beach is not reliable enough to be suggested"),
        (None, "unsure: #beach is not reliable enough to be suggested"),
    ],
)
def test_why_it_is_silent(make_model: Make, threshold: float | None, reason: str) -> None:
    folder = make_model(thresholds={} if threshold is None else {"beach": threshold})
    (suggestion,) = Suggester(folder).suggest([photo(RED)])
    assert (suggestion.hashtag, suggestion.reason) == (None, reason)
    assert suggestion.confidence == round(P_RED, 4)


def test_it_is_silent_about_a_photo_for_which_the_network_gives_no_numbers(make_model: Make) -> None:
    blinding = {**MANIFEST["input"], "std": [1e-42] * 3}  # type: ignore[dict-item]
    (suggestion,) = Suggester(make_model(input=blinding)).suggest([photo(RED)])
    assert (suggestion.hashtag, suggestion.confidence, suggestion.reason) == (None, 0.0, NO_NUMBER)
    assert json.dumps(suggestion.as_dict(), allow_nan=False)


def test_every_hashtag_is_suggested_and_other_is_not(make_model: Make) -> None:
    suggestions = list(Suggester(make_model()).suggest([photo(RED), photo(GREEN), photo(BLUE)]))
    assert [one.hashtag for one in suggestions] == ["beach", "water", None]
    assert suggestions[2].reason == "other: none of the hashtags fits"


def test_labels_of_an_old_model_are_spelled_as_ours(make_model: Make) -> None:
    folder = make_model(labels=["cafe\u0301", *LABELS[1:]], thresholds={"cafe\u0301": 0.5})
    (suggestion,) = Suggester(folder).suggest([photo(RED)])
    assert suggestion.hashtag == "caf\u00e9"
    (suggestion,) = Suggester(folder).suggest([photo(RED)], blocked=lambda: {"caf\u00e9"})
    assert suggestion.hashtag is None


def test_the_candidates_are_the_three_likeliest(make_model: Make) -> None:
    (suggestion,) = Suggester(make_model()).suggest([Image.new("RGB", (40, 40), (255, 51, 0))])
    odds = np.exp([1.0, -0.6, -1.0, 0.0])
    share = odds / odds.sum()
    expected = (("beach", share[0]), ("street", share[3]), ("water", share[1]))
    assert suggestion.candidates == tuple((name, round(float(p), 4)) for name, p in expected)
    assert suggestion.probabilities == pytest.approx(dict(zip(LABELS, share, strict=True)), abs=1e-6)
    assert suggestion.scene is None


def test_a_higher_temperature_makes_it_less_sure(make_model: Make) -> None:
    (suggestion,) = Suggester(make_model(temperature=2.0)).suggest([photo(RED)])
    odds = np.exp(np.array([1.0, -1.0, -1.0, 0.0]) / 2)
    assert suggestion.probabilities["beach"] == pytest.approx(odds[0] / odds.sum(), abs=1e-6)


def test_the_likeliest_scene_comes_with_its_probability(make_model: Make) -> None:
    suggester = Suggester(make_model(scenes=["alley", "pub"], temperature=2.0))
    suggestions = list(suggester.suggest([photo((255, 51, 0)), photo(GREEN)]))
    # Not calibrated: the temperature is of the hashtags.
    likeliest = [round(float(1 / (1 + np.exp(-difference))), 4) for difference in (1.6, 2)]
    assert [one.scene for one in suggestions] == [("alley", likeliest[0]), ("pub", likeliest[1])]


def test_a_suggestion_says_which_photo_it_is_of(make_model: Make, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    photo(RED).save(path)
    content = path.read_bytes()
    with Image.open(path) as image, path.open("rb") as file:
        sources: list[Source] = [path, str(path), image, file, content, io.BytesIO(content), photo(RED)]
        suggestions = list(Suggester(make_model()).suggest(sources))
    assert [one.file for one in suggestions] == [str(path)] * 4 + [""] * 3
    assert {one.hashtag for one in suggestions} == {"beach"}


def test_an_unreadable_photo_has_no_hashtag_and_the_next_keep_their_answers(make_model: Make) -> None:
    sources: list[Source] = [photo(RED), b"nothing", photo(GREEN)]
    suggestions = list(Suggester(make_model(), threads=2).suggest(sources))
    assert [one.hashtag for one in suggestions] == ["beach", None, "water"]
    assert (suggestions[1].reason or "").startswith("unreadable: ")
    assert (suggestions[1].candidates, suggestions[1].confidence) == ((), None)


class CountingSession:
    """A fake session that notes how many photos the real one is given at a time, and calls ``then``."""

    def __init__(self, suggester: Suggester, *, then: Callable[[], None] = lambda: None) -> None:
        self.session, self.sizes, self.then = suggester.network.session, list[int](), then
        suggester.network.session = self

    def run(self, outputs: None, feeds: dict[str, Any]) -> Any:
        self.sizes.append(len(feeds["photos"]))
        self.then()
        return self.session.run(outputs, feeds)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_network_is_asked_about_one_photo_at_a_time(make_model: Make, threads: int) -> None:
    suggester = Suggester(make_model(), threads=threads, batch=2)
    counting = CountingSession(suggester)
    suggestions = list(suggester.suggest([photo(RED), photo(GREEN), photo(RED)]))
    assert [one.hashtag for one in suggestions] == ["beach", "water", "beach"]
    assert counting.sizes == [1, 1, 1]


def test_answers_keep_their_order_whoever_is_ready_first(make_model: Make) -> None:
    """The first file can be read only once the second has been answered."""
    suggester = Suggester(make_model(), threads=2)
    second = threading.Event()
    session = CountingSession(suggester, then=second.set)
    files = [Late(png(RED), after=second), io.BytesIO(png(GREEN)), io.BytesIO(png(BLUE)), io.BytesIO(b"no")]
    answers = list(suggester.suggest(files))
    assert session.sizes == [1, 1, 1]
    assert [one.hashtag for one in answers] == ["beach", "water", None, None]
    assert [(one.reason or "").split(":")[0] for one in answers[2:]] == ["other", "unreadable"]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_the_middle_comes_after_the_answers_before_it(make_model: Make, threads: int) -> None:
    suggester = Suggester(make_model(), threads=threads, batch=3)
    running = threading.active_count()
    answers = suggester.suggest([photo(RED), photo(GREEN), Broken(png(RED)), photo(BLUE)])
    assert [next(answers).hashtag, next(answers).hashtag] == ["beach", "water"]
    with pytest.raises(StorageFailure):
        next(answers)
    assert threading.active_count() == running
    assert next(suggester.suggest([photo(RED)])).hashtag == "beach"


@pytest.mark.parametrize("threads", [1, 2])
def test_photos_of_a_batch_share_the_memory_for_decoding(
    make_model: Make, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """There is memory for one photo at a time, and none is held while the network is asked."""
    contents = [png(colour) for colour in (RED, GREEN, BLUE) * 4]
    budget = Budget(max(bytes_needed(open_checked(content)) for content in contents))
    monkeypatch.setattr(opening, "DECODING", budget)
    suggester = Suggester(make_model(), threads=threads)

    def ask_for_all() -> None:
        with budget.share(budget.size):
            pass

    CountingSession(suggester, then=ask_for_all)
    with patience(60):
        answers = list(suggester.suggest(contents))
    assert [one.hashtag for one in answers] == ["beach", "water", None] * 4


@pytest.mark.parametrize("threads", [1, 2])
def test_whoever_waits_too_long_for_memory_is_told_so(
    make_model: Make, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    suggester = Suggester(make_model(), threads=threads)
    with DECODING.share(DECODING.size), patience(0), pytest.raises(DecodersBusy):
        next(suggester.suggest([png(RED)]))


def test_what_is_blocked_is_asked_once_a_batch(make_model: Make) -> None:
    asked = count()
    suggester = Suggester(make_model(), threads=2, batch=3)
    list(suggester.suggest([photo(RED)] * 7, blocked=lambda: [str(next(asked))]))
    assert next(asked) == 3


def test_threads_and_batch(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web worker uses one thread and frees memory."""
    folder = make_model()
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    web, command, every = (
        Suggester(folder),
        Suggester(folder, threads=2, batch=0),
        Suggester(folder, threads=None),
    )
    assert [one.threads for one in (web, command, every)] == [1, 2, 3]
    assert [one.batch for one in (web, command, Suggester(folder, batch=1))] == [16, 1, 1]
    options = [one.network.session.get_session_options() for one in (web, command)]
    assert [one.intra_op_num_threads for one in options] == [1, 1]
    assert [one.inter_op_num_threads for one in options] == [1, 1]
    assert [one.enable_cpu_mem_arena for one in options] == [False, True]
    monkeypatch.setattr(os, "cpu_count", lambda: None)  # as on a machine that does not report it
    assert Suggester(folder, threads=None).threads == 1


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (None, "there is no model in"),
        ("{", "manifest.json cannot be read"),
        ("[]", "has a format that this version does not know"),
        ('{"format": "scenetag-model/2"}', "has a format that this version does not know"),
        ('{"format": "scenetag-model/0"}', "has a format that this version does not know"),
    ],
)
def test_a_folder_without_a_manifest_that_it_knows_is_no_model(
    make_model: Make, manifest: str | None, words: str
) -> None:
    folder = make_model()
    (folder / "manifest.json").unlink()
    if manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    with pytest.raises(ModelError, match=words):
        Suggester(folder)


def test_a_broken_network_is_no_model_and_the_error_is_short(make_model: Make) -> None:
    folder = make_model("m" * 200)  # the name is in the error
    (folder / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError) as error:
        Suggester(folder)
    assert len(str(error.value)) == len("model.onnx cannot be loaded: ") + 200


@pytest.mark.parametrize(
    ("blocked", "thresholds", "answer"),
    [
        ([], {"beach": 0.5}, ("beach", 0.6, None)),
        (["beach"], {"beach": 0.5, "street": 0.2}, ("street", 0.3, None)),
        (["beach"], {"beach": 0.5, "street": 0.31}, (None, 0.3, BLOCKED)),  # 0.6 is given to nobody
        (["beach"], {"beach": 0.5, "street": 1.01}, (None, 0.3, BLOCKED)),
        (["beach", "street"], {"beach": 0.5, "street": 0.2}, (None, 0.1, BLOCKED)),  # other is next
        (["street"], {"beach": 0.7}, (None, 0.6, "unsure: 0.60 < 0.70 needed for #beach")),
        (["beach", "street", "other"], {"beach": 0.5}, (None, 0.0, BLOCKED)),
    ],
)
def test_blocked_hashtag_gives_its_probability_to_nobody(
    blocked: list[str], thresholds: dict[str, float], answer: tuple[str | None, float, str | None]
) -> None:
    assert judge([("beach", 0.6), ("street", 0.3), ("other", 0.1)], thresholds, blocked) == answer


def test_blocked_hashtag_is_no_candidate_either(make_model: Make) -> None:
    answers = [[], ["beach"]]
    suggester = Suggester(make_model(thresholds={"beach": 0.5, "street": 0.1}), batch=1)
    first, second = suggester.suggest([photo(RED), photo(RED)], blocked=lambda: answers.pop(0))
    assert (first.hashtag, second.hashtag) == ("beach", "street")  # asked anew for every batch
    assert second.confidence == pytest.approx(first.probabilities["street"], abs=1e-4)
    assert "beach" not in str(second.as_dict())
    assert second.probabilities == first.probabilities


def test_a_cascade_asks_the_accurate_network_only_where_the_fast_one_is_unsure(make_model: Make) -> None:
    """The fast network is sure of red (0.5 is enough) and of blue, which is surely no hashtag."""
    first = make_model("first") / "model.onnx"
    cascade = {
        "input": MANIFEST["input"],
        "temperature": 0.25,
        "thresholds": {"beach": 0.5},
        "silent_below": 0.05,
    }
    folder = make_model("whole", cascade=cascade, thresholds={"beach": 0.99, "water": 0.5})
    first.rename(folder / "first.onnx")
    suggester = Suggester(folder, threads=2)
    counting = CountingSession(suggester)
    answers = list(suggester.suggest([photo(RED), photo(GREEN), photo(BLUE), b"nothing", photo(GREEN)]))
    assert [one.hashtag for one in answers] == ["beach", "water", None, None, "water"]
    assert counting.sizes == [1, 1]
    assert answers[1].confidence == round(P_RED, 4)  # the accurate network's own
    assert (answers[2].reason, answers[3].reason or "") != ("", "")


def test_what_a_cascade_must_not_suggest(make_model: Make) -> None:
    first = make_model("first") / "model.onnx"
    cascade = {
        "input": MANIFEST["input"],
        "temperature": 0.25,
        "thresholds": {"beach": 0.5},
        "silent_below": 0.0,
    }
    folder = make_model("whole", cascade=cascade)
    first.rename(folder / "first.onnx")
    (answer,) = Suggester(folder).suggest([photo(RED)], blocked=lambda: {"beach"})
    assert (answer.hashtag, answer.reason) == (None, BLOCKED)


def test_a_cascade_without_its_first_network_is_refused(make_model: Make) -> None:
    cascade = {"input": MANIFEST["input"], "temperature": 1.0, "thresholds": {}, "silent_below": 0.0}
    with pytest.raises(ModelError, match=r"first\.onnx"):
        Suggester(make_model(cascade=cascade))


# --- several hashtags, the centre, copies -----------------------------------------------------


def test_further_hashtags_need_their_own_threshold(make_model: Make) -> None:
    """Red with some green: beach .55, street .20, water .18, other .07."""
    low = {"beach": 0.4, "water": 0.15, "street": 0.2}
    suggester = Suggester(make_model(thresholds=low))

    def names(most: int, *blocked: str) -> list[str]:
        (answer,) = suggester.suggest([photo((255, 110, 0))], blocked=lambda: blocked, most=most)
        return [name for name, _ in answer.hashtags]

    assert (names(1), names(2), names(3)) == (["beach"], ["beach", "street"], ["beach", "street", "water"])
    assert names(3, "street") == ["beach", "water"]
    assert names(3, "beach") == ["street", "water"]
    suggester.thresholds["water"] = 0.5
    assert names(3) == ["beach", "street"]
    suggester.thresholds["beach"] = 0.7
    assert names(3) == []  # whoever is unsure of the likeliest is silent


def test_checks_decide_about_further_hashtags_but_never_about_silenced_ones(make_model: Make) -> None:
    """Red with some green: beach .55, street .20, water .18, other .07."""
    check = {"slope": 1.0, "shift": 2.0, "does_not_fit_below": 0.1, "fits_from": 0.5}
    checks = {"hashtags": dict.fromkeys(("beach", "street", "water"), check)}
    suggester = Suggester(make_model(thresholds={"beach": 0.4, "street": 0.9, "water": 1.01}, checks=checks))
    (answer,) = suggester.suggest([photo((255, 110, 0))], most=3)
    assert [name for name, _ in answer.hashtags] == ["beach", "street"]


def test_centre_of_a_photo(make_model: Make) -> None:
    """Green and narrow in the middle of much red."""
    wide = Image.new("RGB", (120, 40), RED)
    wide.paste(GREEN, (40, 0, 80, 40))
    suggester = Suggester(make_model())
    (whole,) = suggester.suggest([wide])
    (centre,) = suggester.suggest([wide], preparation=Preparation(crop=True))
    assert (whole.candidates[0][0], centre.candidates[0][0]) == ("beach", "water")
    assert centre.probabilities["water"] == pytest.approx(P_RED, abs=0.02)


def test_copies_are_averaged_with_the_photo_and_always_the_same(make_model: Make) -> None:
    suggester = Suggester(make_model())
    plain, turned = photo(RED), Preparation(copies=3)
    first, second = suggester.suggest([plain, photo(BLUE)], preparation=turned)
    (again,) = suggester.suggest([plain], preparation=turned)
    assert first == again
    pixels = prepared(plain, suggester.network.input, turned)
    assert pixels.shape == (4, 32, 32, 3)
    alone = [suggester.network.answer(one[np.newaxis])[0] for one in pixels]
    assert len({tuple(row) for row in alone}) > 1
    assert list(first.probabilities.values()) == pytest.approx(np.mean(alone, axis=0))
    assert second.hashtag is None
