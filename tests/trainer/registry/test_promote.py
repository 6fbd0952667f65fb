"""Export, promote, roll back, and the starter model."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import Job
from tests.trainer.conftest import MODEL_MANIFEST, jpeg
from trainer.models import Promotion, TrainedModel, TrainingRun
from trainer.registry import export, promotion
from trainer.registry.serving import active_model
from trainer.runs.start import NotReady
from validation.models import Campaign, Prediction
from validation.photos.store import take_in

pytestmark = pytest.mark.django_db
ModelFor = Callable[..., TrainedModel]
ClientFor = Callable[..., Client]


def promote_url(model: TrainedModel) -> str:
    return f"{model.get_absolute_url()}promote/"


def test_promote_and_back(client_for: ClientFor, model_for: ModelFor) -> None:
    old, new = model_for("Old"), model_for("New")
    client = client_for("admin")
    client.post(promote_url(old), {"replacing": 0})
    assert active_model() == old
    page = client.get(new.get_absolute_url()).content.decode()
    assert "“Old” is the active model" in page
    client.post(promote_url(new), {"replacing": Promotion.objects.current().pk})  # type: ignore[union-attr]
    assert active_model() == new
    response = client.post(
        "/trainer/models/roll-back/",
        {"replacing": Promotion.objects.current().pk},  # type: ignore[union-attr]
        follow=True,
    )
    assert "“Old” is the active model again" in response.content.decode()
    assert active_model() == old
    assert Promotion.objects.count() == 3  # the history is not rewritten


def test_repeated_click_promotes_once(client_for: ClientFor, model_for: ModelFor) -> None:
    model, client = model_for("New"), client_for("admin")
    for _ in range(2):
        response = client.post(promote_url(model), {"replacing": 0}, follow=True)
        assert "is the active model" in response.content.decode()
    assert Promotion.objects.count() == 1


def test_stale_page_promotes_nothing(client_for: ClientFor, model_for: ModelFor) -> None:
    mine, theirs = model_for("Mine"), model_for("Theirs")
    promotion.promote(model=theirs, by=None)
    response = client_for("admin").post(promote_url(mine), {"replacing": 0}, follow=True)
    assert "“Theirs” is active now" in response.content.decode()
    assert active_model() == theirs


def test_repeated_click_rolls_back_once(client_for: ClientFor, model_for: ModelFor) -> None:
    for name in ("First", "Second", "Third"):
        promotion.promote(model=model_for(name), by=None)
    form = {"replacing": Promotion.objects.current().pk}  # type: ignore[union-attr]
    client = client_for("admin")
    for _ in range(2):
        client.post("/trainer/models/roll-back/", form)
    active = active_model()
    assert active
    assert active.name == "Second"


def test_nothing_to_go_back_to(client_for: ClientFor, model_for: ModelFor) -> None:
    client = client_for("admin")
    for _ in range(2):
        response = client.post("/trainer/models/roll-back/", follow=True)
        assert "No other model was active before" in response.content.decode()
        promotion.promote(model=TrainedModel.objects.first() or model_for("Only"), by=None)


def test_model_that_is_not_exported_is_refused(client_for: ClientFor, model_for: ModelFor) -> None:
    model = model_for("Half", manifest={})
    response = client_for("admin").post(promote_url(model), {"replacing": 0}, follow=True)
    assert "is not exported yet" in response.content.decode()
    assert active_model() is None


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "network", "nobody"])
def test_others_may_not(client_for: ClientFor, model_for: ModelFor, run: TrainingRun, role: str) -> None:
    client, model = client_for(role), model_for("New")
    for url in (promote_url(model), "/trainer/models/roll-back/", f"{run.get_absolute_url()}export/"):
        assert client.post(url).status_code == 403
    assert not Promotion.objects.exists()
    assert TrainedModel.objects.count() == 1


def test_stranger_and_get(client: Client, client_for: ClientFor, model_for: ModelFor) -> None:
    model = model_for("New")
    assert client.post(promote_url(model))["Location"].startswith("/login/")
    assert "No model is active" in client_for("admin").get(promote_url(model)).content.decode()
    assert not Promotion.objects.exists()


def test_both_models_are_shown_before_promoting(client_for: ClientFor, model_for: ModelFor) -> None:
    figures = {"coverage": 0.61, "precision": 0.93}
    old = model_for("Old", manifest=MODEL_MANIFEST | {"held_out": figures})
    new = model_for("New", manifest=MODEL_MANIFEST | {"held_out": {"coverage": 0.72, "precision": 0.88}})
    promotion.promote(model=old, by=None)
    page = client_for("admin").get(promote_url(new)).content.decode()
    for words in ("61 %", "93 %", "72 %", "88 %", "instead of “Old”", "No campaign has asked"):
        assert words in page
    assert client_for("admin").get(promote_url(old))["Location"] == old.get_absolute_url()
    assert active_model() == old


@pytest.mark.parametrize("silent", [{"held_out": {"coverage": 0}}, {"thresholds": {"bar": 2.0}}])
def test_a_model_that_never_suggests_is_promoted_by_its_name_only(
    client_for: ClientFor, model_for: ModelFor, silent: dict[str, Any]
) -> None:
    model, client = model_for("Mute", manifest=MODEL_MANIFEST | silent), client_for("admin")
    assert "type its name" in client.get(promote_url(model)).content.decode()
    for typed in ({}, {"typed": "mute"}):
        page = client.post(promote_url(model), {"replacing": 0} | typed, follow=True)
        assert "“Mute” never suggests anything" in page.content.decode()
    assert active_model() is None
    client.post(promote_url(model), {"replacing": 0, "typed": "Mute"})
    assert active_model() == model


def test_export_twice_is_one_model(client_for: ClientFor, run: TrainingRun) -> None:
    client = client_for("admin")
    first, second = (client.post(f"{run.get_absolute_url()}export/") for _ in range(2))
    model = TrainedModel.objects.get()
    assert first["Location"] == second["Location"] == model.get_absolute_url()
    assert model.job
    assert model.job.url == model.get_absolute_url()


def test_another_target_is_another_model(client_for: ClientFor, run: TrainingRun) -> None:
    client, url = client_for("admin"), f"{run.get_absolute_url()}export/"
    places = [client.post(url, {"target_precision": target})["Location"] for target in ("0.8", "0.8", "0.9")]
    client.post(url)  # 0.9 unless said otherwise
    assert places[0] == places[1] != places[2]
    names = TrainedModel.objects.order_by("pk").values_list("name", "target_precision")
    assert list(names) == [("Tiny, frozen, right 80%", 0.8), ("Tiny, frozen", 0.9)]


def test_another_promise_is_another_model(client_for: ClientFor, run: TrainingRun) -> None:
    client, url = client_for("admin"), f"{run.get_absolute_url()}export/"
    forms: list[dict[str, str]] = [{}, {"promise": "each"}, {"promise": "each"}, {"promise": "overall"}]
    places = [client.post(url, form)["Location"] for form in forms]
    assert places[1] == places[2]
    assert len(set(places)) == 3
    names = TrainedModel.objects.order_by("pk").values_list("name", "promise")
    assert list(names) == [
        ("Tiny, frozen", "none"),
        ("Tiny, frozen, promised each", "each"),
        ("Tiny, frozen, promised", "overall"),
    ]
    page = client.post(url, {"promise": "always"}, follow=True)
    assert "There is no such promise" in page.content.decode()
    assert TrainedModel.objects.count() == 3


@pytest.mark.parametrize("target", ["0.3", "1", "nan", "inf", "x"])
def test_invalid_target_is_refused(client_for: ClientFor, run: TrainingRun, target: str) -> None:
    client = client_for("admin")
    page = client.post(f"{run.get_absolute_url()}export/", {"target_precision": target}, follow=True)
    assert "from 50 % to 99 %" in page.content.decode()
    assert not TrainedModel.objects.exists()


def test_run_whose_weights_were_removed_is_not_exported(run: TrainingRun) -> None:
    run.weights_removed_at = run.created_at
    with pytest.raises(NotReady, match="train it again"):
        export.export_run(run=run, by=None)


def test_unfinished_run_is_not_exported(client_for: ClientFor, run: TrainingRun) -> None:
    Job.objects.filter(pk=run.job.pk).update(state=Job.State.FAILED)
    response = client_for("admin").post(f"{run.get_absolute_url()}export/", follow=True)
    assert "Only a run that has finished" in response.content.decode()
    assert not TrainedModel.objects.exists()


def test_model_page_shows_its_card_as_text_never_as_html(client_for: ClientFor, model_for: ModelFor) -> None:
    model = model_for("New")
    TrainedModel.objects.update(card="# Card\n\n<script>x</script> [a](javascript:x) | **b**")
    page = client_for("viewer").get(model.get_absolute_url()).content.decode()
    assert "<h1>Card</h1>" in page
    assert "<script>x" not in page
    assert 'href="javascript' not in page
    assert "9 times in 10" in page


def test_pages_of_models_take_constant_queries(
    client_for: ClientFor, model_for: ModelFor, run: TrainingRun, django_assert_max_num_queries: Any
) -> None:
    client = client_for("viewer")
    model = model_for("One", run=run)
    promotion.promote(model=model, by=None)
    urls = ["/trainer/models/", model.get_absolute_url()]
    counts = []
    for url in urls:
        with django_assert_max_num_queries(18) as few:
            client.get(url)
        counts.append(len(few))
    for i in range(10):
        promotion.promote(model=model_for(f"More {i}"), by=None)
    for url, count in zip(urls, counts, strict=True):
        with django_assert_max_num_queries(count + 1):  # one model more to go back to
            assert client.get(url).status_code == 200


def test_promotion_shows_who_promoted(user_for: Callable[..., User], model_for: ModelFor) -> None:
    by = user_for("admin")
    assert promotion.promote(model=model_for("New"), by=by).promoted_by == by


def test_new_model_is_asked_about_photos_of_the_last_campaign(
    client_for: ClientFor, model_for: ModelFor, tiny_model: TrainedModel
) -> None:
    """The old one was silent about a red photo, which the new one calls #beach."""
    old = model_for("Old")
    promotion.promote(model=old, by=None)
    campaign = Campaign.objects.create(name="Summer", model=old)
    photo = take_in(file=io.BytesIO(jpeg((250, 5, 5))), name="red.jpg", by=None)
    campaign.photos.add(photo)
    Prediction.objects.create(photo=photo, model=old, reason="unsure")
    page = " ".join(client_for("admin").get(promote_url(tiny_model)).content.decode().split())
    assert f'<a href="{campaign.get_absolute_url()}">Summer</a>' in page
    assert "1 of its 1 photos gets another answer than the old model gave" in page
