"""Trials: who answers, who wins, what a shadow is compared with; and who may start and stop them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from serving import counting, drift, trials
from serving.answer_ids import read_id
from serving.models import AnswerTally, FeedbackTally, Trial
from serving.models.tallies import add_counts
from serving.trials import Refused, place, read_comparison, read_result, start_trial, stop_trial
from tests.trainer.conftest import jpeg
from trainer import deleting
from trainer.models import Promotion, TrainedModel
from trainer.registry import serving

URL = "/in-use/trials/"
RED, GREEN, BLUE = (250, 10, 10), (10, 250, 10), (10, 10, 250)
pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is counted, no network is in memory."""
    counting.forget()
    monkeypatch.setattr(serving, "_cache", {})


@pytest.fixture
def challenger(active_model: TrainedModel, model_for: Callable[..., TrainedModel]) -> TrainedModel:
    """Suggests #beach never, and #bar where the active model is silent."""
    manifest = active_model.manifest | {"thresholds": {"beach": 1.01, "bar": 0.5}, "sha256": "1"}
    model = model_for("Challenger", manifest=manifest)
    model.folder.mkdir()
    (model.folder / "model.onnx").write_bytes((active_model.folder / "model.onnx").read_bytes())
    (model.folder / "manifest.json").write_text(json.dumps(manifest))
    return model


@pytest.fixture
def ask(client_for: Callable[..., Client]) -> Callable[[bytes], dict[str, Any]]:
    client = client_for("network")

    def post(content: bytes) -> dict[str, Any]:
        response = client.post("/api/v1/suggest", {"photo": SimpleUploadedFile("x.jpg", content)})
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        return answer

    return post


def photos(count: int, colour: tuple[int, int, int] = RED) -> list[bytes]:
    """Different files that look alike."""
    return [jpeg(colour, (40 + at, 32)) for at in range(count)]


def tallied(figure: str) -> dict[tuple[int, str], int]:
    counting.flush()
    rows = AnswerTally.objects.filter(figure=figure).values_list("model", "bin", "count")
    return {(model, name): n for model, name, n in rows}


def test_answers_are_counted_when_they_are_flushed(
    ask: Callable[..., Any], active_model: TrainedModel
) -> None:
    ask(jpeg(RED))
    ask(jpeg(RED))
    assert not AnswerTally.objects.exists()
    ask(jpeg(BLUE))
    pk = active_model.pk
    assert tallied(counting.ANSWER) == {(pk, "beach"): 2, (pk, ""): 1}
    assert tallied(counting.CONFIDENCE) == {(pk, "9"): 3}
    assert tallied(counting.PIXELS) == {(pk, "under 0.1 MP"): 3}
    ask(jpeg(RED))
    assert tallied(counting.ANSWER) == {(pk, "beach"): 3, (pk, ""): 1}


def test_counts_stay_while_the_database_is_away(
    ask: Callable[..., Any], active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_away(*_: Any) -> None:
        raise IntegrityError("away")

    ask(jpeg(RED))
    with monkeypatch.context() as patch:
        patch.setattr(counting, "add_counts", is_away)
        counting.flush()
    assert tallied(counting.ANSWER) == {(active_model.pk, "beach"): 1}


def test_a_share_of_photos_is_answered_by_the_challenger_always_the_same(
    ask: Callable[..., Any],
    client_for: Callable[..., Client],
    active_model: TrainedModel,
    challenger: TrainedModel,
) -> None:
    def look(unless: str = "") -> Any:
        return client_for("network").get("/api/v1/model", headers={"if-none-match": f'"{unless}"'})

    alone = look().json()
    assert (alone["etag"], alone["challenger"]) == (alone["tag"], None)
    trial = start_trial(kind="answers", challenger=challenger, share=0.5, by=None)
    both = look(unless=alone["etag"]).json()  # no 304: some photos get other answers now
    assert look(unless=both["etag"]).status_code == 304
    answers = [ask(photo) for photo in photos(12)]
    tags = {read_id(answer["id"]).model: answer["model"] for answer in answers}
    assert tags == {active_model.pk: both["tag"], challenger.pk: both["challenger"]["tag"]}
    assert (both["challenger"]["name"], both["challenger"]["share"]) == ("Challenger", 0.5)
    models = [read_id(answer["id"]).model for answer in answers]
    assert {read_id(answer["id"]).trial for answer in answers} == {trial.pk}
    assert set(models) == {active_model.pk, challenger.pk}
    said = {(model, answer["hashtag"]) for model, answer in zip(models, answers, strict=True)}
    assert said == {(active_model.pk, "beach"), (challenger.pk, None)}
    assert [read_id(ask(photo)["id"]).model for photo in photos(12)] == models
    assert {key[0] for key in serving._cache} == {active_model.pk, challenger.pk}
    stop_trial(by=None, trial=trial)
    assert look(unless=alone["etag"]).status_code == 304
    assert read_id(ask(photos(1)[0])["id"]).trial == 0
    assert {key[0] for key in serving._cache} == {active_model.pk}  # the memory is given back


def test_places_are_even_and_differ_between_trials() -> None:
    first, second = Trial(pk=1), Trial(pk=2)
    contents = [str(at).encode() for at in range(2000)]
    in_first = [place(first, content) < 0.1 for content in contents]
    in_second = [place(second, content) < 0.1 for content in contents]
    assert 150 < sum(in_first) < 250
    assert 5 < sum(a and b for a, b in zip(in_first, in_second, strict=True)) < 40


def test_a_trial_waits_while_another_model_is_active(
    ask: Callable[..., Any], active_model: TrainedModel, challenger: TrainedModel
) -> None:
    start_trial(kind="answers", challenger=challenger, share=1, by=None)
    assert read_id(ask(jpeg(RED))["id"]).model == challenger.pk
    Promotion.objects.create(model=challenger)
    assert read_id(ask(jpeg(RED))["id"]).trial == 0


def feedback(trial: Trial, model: TrainedModel, accepted: int, shown: int) -> None:
    add_counts(FeedbackTally, {(timezone.localdate(), model.pk, trial.pk, "beach"): (shown, accepted, 0, 0)})


def test_a_winner_is_named_only_when_the_difference_is_real(
    active_model: TrainedModel, challenger: TrainedModel, client_for: Callable[..., Client]
) -> None:
    trial = start_trial(kind="answers", challenger=challenger, share=0.5, by=None)
    assert "Too little feedback" in read_result(trial).sentence
    feedback(trial, active_model, 400, 1000)
    feedback(trial, challenger, 440, 1000)
    assert read_result(trial).sentence == "No winner yet: the difference may be chance."
    admin = client_for("admin")
    assert "Promote the winner" not in admin.get(URL).content.decode()
    feedback(trial, challenger, 160, 0)
    result = read_result(trial)
    assert "“Challenger” is accepted more often" in result.sentence
    assert result.points.startswith("+20.0 points (+")
    page = admin.get(URL).content.decode()
    assert "Promote the winner" in page
    admin.post(f"/trainer/models/{challenger.pk}/promote/", {"replacing": Promotion.objects.get().pk})
    assert serving.active_model() == challenger
    assert "Promote the winner" not in admin.get(URL).content.decode()


def test_feedback_outside_of_the_trial_does_not_count(
    active_model: TrainedModel, challenger: TrainedModel
) -> None:
    trial = start_trial(kind="answers", challenger=challenger, share=0.5, by=None)
    feedback(Trial(pk=0), active_model, 1000, 1000)
    assert (read_result(trial).champion.shown, read_result(trial).challenger.shown) == (0, 0)


def test_a_shadow_answers_nobody_and_is_compared(
    ask: Callable[..., Any], active_model: TrainedModel, challenger: TrainedModel
) -> None:
    trial = start_trial(kind="shadow", challenger=challenger, share=1, by=None)
    answers = [ask(jpeg(colour)) for colour in (RED, RED, GREEN, BLUE)]
    assert [answer["hashtag"] for answer in answers] == ["beach", "beach", None, None]
    assert {read_id(answer["id"]).model for answer in answers} == {active_model.pk}
    assert tallied(counting.SHADOW) == {
        (challenger.pk, "only active"): 2,
        (challenger.pk, "only shadow"): 1,
        (challenger.pk, "both silent"): 1,
    }
    seen = read_comparison(trial)
    assert (seen.photos, seen.share_same, seen.coverage, seen.shadow_coverage) == (4, 0.25, 0.5, 0.25)
    assert drift.read_drift(model=challenger, since=timezone.localdate()) is None


def test_a_shadow_is_compared_with_the_active_model_only(
    ask: Callable[..., Any], challenger: TrainedModel, model_for: Callable[..., TrainedModel]
) -> None:
    start_trial(kind="answers", challenger=challenger, share=1, by=None)
    start_trial(kind="shadow", challenger=challenger, share=1, by=None)
    ask(jpeg(RED))
    assert tallied(counting.SHADOW) == {}


def test_a_broken_shadow_disturbs_nobody(
    ask: Callable[..., Any], active_model: TrainedModel, challenger: TrainedModel
) -> None:
    start_trial(kind="shadow", challenger=challenger, share=1, by=None)
    (challenger.folder / "manifest.json").unlink()
    assert [ask(jpeg(RED))["hashtag"] for _ in range(2)] == ["beach", "beach"]
    assert tallied(counting.SHADOW) == {}


def start(client: Client, model: TrainedModel, **fields: Any) -> str:
    data = {"kind": "answers", "challenger": model.pk, "share": 10, **fields}
    return str(client.post(f"{URL}start/", data, follow=True).content.decode())


def test_start_twice_and_stop_twice(
    active_model: TrainedModel, challenger: TrainedModel, client_for: Callable[..., Client]
) -> None:
    admin = client_for("admin")
    assert "The trial “Challenger beside Colours” is running." in start(admin, challenger)
    start(admin, challenger)
    trial = Trial.objects.get()
    assert (trial.share, trial.started_by) == (0.1, User.objects.get(username="admin"))
    assert "is stopped." in admin.post(f"{URL}{trial.pk}/stop/", follow=True).content.decode()
    assert "was stopped already." in admin.post(f"{URL}{trial.pk}/stop/", follow=True).content.decode()


def test_a_stale_page_starts_nothing(
    active_model: TrainedModel, challenger: TrainedModel, client_for: Callable[..., Client]
) -> None:
    admin = client_for("admin")
    assert "changed meanwhile" in start(admin, challenger, champion=challenger.pk)
    assert "is the active model itself" in start(admin, active_model)
    assert not Trial.objects.exists()


def test_one_trial_of_a_kind_at_a_time(
    active_model: TrainedModel, challenger: TrainedModel, model_for: Callable[..., TrainedModel]
) -> None:
    start_trial(kind="answers", challenger=challenger, share=0.1, by=None)
    third = model_for("Third")
    with pytest.raises(Refused, match="stop it first"):
        start_trial(kind="answers", challenger=third, share=0.1, by=None)
    start_trial(kind="shadow", challenger=third, share=0.1, by=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        Trial.objects.create(kind="shadow", champion=active_model, challenger=challenger, share=0.1)


@pytest.mark.parametrize(
    "fields", [{"share": 0}, {"share": 101}, {"share": "x"}, {"kind": "x"}, {"challenger": 0}]
)
def test_wrong_fields_are_named(
    active_model: TrainedModel,
    challenger: TrainedModel,
    client_for: Callable[..., Client],
    fields: dict[str, Any],
) -> None:
    data = {"kind": "answers", "challenger": challenger.pk, "share": 10} | fields
    response = client_for("admin").post(f"{URL}start/", data)
    assert response.status_code == 422
    assert "errorlist" in response.content.decode()
    assert not Trial.objects.exists()


def test_without_an_active_model_nothing_starts(tiny_model: TrainedModel) -> None:
    with pytest.raises(Refused, match="No model is active"):
        start_trial(kind="answers", challenger=tiny_model, share=0.1, by=None)


def test_roles(
    active_model: TrainedModel, challenger: TrainedModel, client_for: Callable[..., Client]
) -> None:
    trial = start_trial(kind="answers", challenger=challenger, share=0.1, by=None)
    for role in ("viewer", "curator", "validator", "network", "nobody"):
        client = client_for(role)
        assert client.post(f"{URL}start/").status_code == 403, role
        assert client.post(f"{URL}{trial.pk}/stop/").status_code == 403, role
    assert "Start a trial" not in client_for("viewer").get(URL).content.decode()
    assert Client().post(f"{URL}start/").status_code == 302
    assert Trial.objects.get().is_running


def test_a_running_trial_keeps_its_model_and_a_stopped_one_goes_with_it(
    active_model: TrainedModel, challenger: TrainedModel
) -> None:
    trial = start_trial(kind="answers", challenger=challenger, share=0.1, by=None)
    assert "is running: stop it first" in deleting.plan_model(challenger).refusal
    trials.stop_trial(by=None, trial=trial)
    deleting.delete_model(model=challenger, seen=deleting.plan_model(challenger).digest, by=None)
    assert not Trial.objects.exists()


def test_another_share_is_no_repeated_click(active_model: TrainedModel, challenger: TrainedModel) -> None:
    first = start_trial(kind="answers", challenger=challenger, share=0.1, by=None)
    assert start_trial(kind="answers", challenger=challenger, share=0.1, by=None) == first
    with pytest.raises(Refused, match="running with 10 %"):
        start_trial(kind="answers", challenger=challenger, share=0.5, by=None)
