"""The page of a model: where it comes from, what depends on it, its name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from jobs.models import Job
from trainer.models import TrainedModel, TrainingRun
from trainer.registry import promotion
from trainer.registry.cards import run_card
from validation.models import Campaign

pytestmark = pytest.mark.django_db
ModelFor = Callable[..., TrainedModel]
ClientFor = Callable[..., Client]


def test_lineage_up_and_down(client_for: ClientFor, model_for: ModelFor, run: TrainingRun) -> None:
    TrainingRun.objects.update(code_version="abc1234")
    model, sibling = model_for("One", run=run), model_for("Careful", run=run, target_precision=0.99)
    promotion.promote(model=model, by=None)
    campaign = Campaign.objects.create(name="People", model=model)
    page = client_for("viewer").get(model.get_absolute_url()).content.decode()
    for row in (run, run.photo_set, run.release, sibling, campaign):
        assert f'href="{row.get_absolute_url()}"' in page
    assert "<code>abc1234</code>" in page
    assert "promoted <time" in page
    other = client_for("viewer").get(sibling.get_absolute_url()).content.decode()
    assert "no campaign asks about it, and it has never been active" in other


def test_lineage_of_a_file_is_text_of_any_kind(client_for: ClientFor, model_for: ModelFor) -> None:
    manifest = {"labels": ["a", "b"], "lineage": {"run": "<i>x</i>", "release": ["odd", 1], "n" * 99: None}}
    model = model_for("In", imported_from="in.zip", manifest=manifest)
    page = client_for("viewer").get(model.get_absolute_url()).content.decode()
    assert "&lt;i&gt;x&lt;/i&gt;" in page
    assert "Imported from the file in.zip" in page
    TrainedModel.objects.update(manifest={"labels": [], "lineage": "nonsense"})
    assert "model file does not say" in client_for("viewer").get(model.get_absolute_url()).content.decode()


def test_another_export_is_offered_only_where_it_can_be_made(
    client_for: ClientFor, model_for: ModelFor, run: TrainingRun
) -> None:
    model, client = model_for("One", run=run), client_for("admin")
    assert "with this target" not in client.get(model.get_absolute_url()).content.decode()
    run.folder.mkdir(parents=True)
    (run.folder / "best.pt").touch()
    assert "with this target" in client.get(model.get_absolute_url()).content.decode()
    assert "with this target" not in client_for("viewer").get(model.get_absolute_url()).content.decode()
    Job.objects.filter(pk=run.job_id).update(state=Job.State.FAILED)
    assert "with this target" not in client.get(model.get_absolute_url()).content.decode()


def test_rename(client_for: ClientFor, model_for: ModelFor) -> None:
    model, client = model_for("Old"), client_for("admin")
    url = f"{model.get_absolute_url()}rename/"
    for _ in range(2):  # a repeated click
        page = client.post(url, {"name": " New ", "was": "Old"}, follow=True).content.decode()
        assert "now called “New”" in page
    page = client.post(url, {"name": "Mine", "was": "Old"}, follow=True).content.decode()  # a stale page
    assert "renamed it to “New” meanwhile" in page
    for wrong in ("", "  ", "x" * 101):
        assert "1 to 100 characters" in client.post(url, {"name": wrong}, follow=True).content.decode()
    model.refresh_from_db()
    assert model.name == "New"


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "network", "nobody", "stranger"])
def test_others_may_not_rename(client_for: ClientFor, model_for: ModelFor, role: str) -> None:
    model = model_for("Old")
    response = client_for(role).post(f"{model.get_absolute_url()}rename/", {"name": "New"})
    assert response.status_code == (302 if role == "stranger" else 403)
    model.refresh_from_db()
    assert model.name == "Old"


@pytest.mark.parametrize(
    ("recipe", "licences"),
    [
        ({"kind": "frozen", "backbone": "efficientnet_lite0+efficientnet_lite2"}, ["Lite0", "Lite2"]),
        ({"kind": "finetune", "network": "efficientnet_lite1", "weights": "imagenet"}, ["Lite1"]),
        ({"kind": "finetune", "network": "efficientnet_lite1", "weights": "none"}, []),
        ({"kind": "finetune", "network": "resnet18", "weights": "imagenet"}, []),
    ],
)
def test_the_card_names_the_licences_of_pretrained_weights(
    run: TrainingRun, recipe: dict[str, str], licences: list[str]
) -> None:
    card = run_card(run, {"recipe": recipe})
    assert [f"weights of EfficientNet-{name}: Apache-2.0" in card for name in licences] == [True] * len(
        licences
    )
    assert ("## Licences" in card) == bool(licences)


def test_card_names_only_settings_that_have_an_effect(run: TrainingRun) -> None:
    recipe = {"kind": "frozen", "backbone": "efficientnet_lite0", "network": "resnet18", "momentum": 0.9}
    frozen = run_card(run, {"recipe": recipe | {"optimizer": "adamw"}})
    assert ("- backbone: " in frozen, "- network: " in frozen, "- momentum: " in frozen) == (
        True,
        False,
        False,
    )
    card = run_card(run, {"recipe": recipe | {"kind": "finetune", "optimizer": "sgd"}})
    assert ("- backbone: " in card, "- momentum: " in card) == (False, True)


def test_a_model_that_never_suggests_says_so(client_for: ClientFor, model_for: ModelFor) -> None:
    manifest = {
        "labels": ["a"],
        "thresholds": {"a": 2.0},
        "target_precision": 0.9,
        "held_out": {"coverage": 0.0},
    }
    model = model_for("Silent", manifest=manifest)
    page = client_for("viewer").get(model.get_absolute_url()).content.decode()
    assert "this model suggests nothing" in page
    assert "9 times in 10" not in page
