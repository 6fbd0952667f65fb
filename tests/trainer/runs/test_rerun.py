"""Change the settings of a run before it starts: from a preset, or from another run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobs.machines import Machine, as_json
from jobs.models import Job, Worker
from mapping.models import Release
from trainer.engine.errors import RecipeError
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import ONLY, RULES, Recipe
from trainer.models import PhotoSet, TrainingRun
from trainer.runs import start
from trainer.runs.settings_form import SETTINGS, SettingsForm

URL = "/trainer/runs/new/"
PRESET = "frozen-lite0"
OTHER: dict[str, Any] = {"frozen": "finetune", "finetune": "frozen"}
pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


def typed(recipe: Recipe) -> dict[str, Any]:
    """What a browser sends of an untouched form."""
    form = SettingsForm(recipe)
    form_data: dict[str, Any] = {f"s-{name}": form[name].value() for name in form.fields}
    if "s-views" in form_data:
        form_data["s-views"] = [view for view in form_data["s-views"] if view != "whole"]
    return form_data


@pytest.fixture
def fields(photo_set: PhotoSet, release: Release) -> dict[str, Any]:
    choices = {"photo_set": photo_set.pk, "release": release.pk, "preset": PRESET, "filled_from": PRESET}
    return choices | typed(PRESETS[PRESET].recipe)


def test_every_setting_has_a_control() -> None:
    assert set(SETTINGS) | {"kind"} == set(Recipe().as_dict()) == set(RULES)
    for name, setting in SETTINGS.items():
        if setting.choices:
            assert {value for value, _ in setting.choices} == set(
                RULES[name].removeprefix("one of ").split(", ")
            )


def test_rules_are_plain_numbers_and_a_switch_is_filled_as_text() -> None:
    rules = {name: setting.rule for name, setting in SETTINGS.items()}
    assert rules["seed"] == "from 0 to 2147483647"
    assert rules["lr"] == "from 0.0000001 to 10"
    assert rules["ema"] == "from 0 to 0.99999"
    assert not rules["channels_last"] + rules["weights"] + rules["split"] + rules["optimizer"]
    for is_on in (True, False):
        form = SettingsForm(replace(PRESETS["finetune-fast"].recipe, channels_last=is_on))
        assert f'data-filled="{is_on}"' in str(form["channels_last"])


@pytest.mark.parametrize("name", PRESETS)
def test_untouched_form_is_the_preset(name: str) -> None:
    recipe = PRESETS[name].recipe
    form = SettingsForm(recipe, data=typed(recipe))
    assert form.is_valid(), form.errors
    assert form.recipe == recipe


def test_only_settings_of_the_kind_are_asked_for(
    client_for: ClientFor, photo_set: PhotoSet, release: Release
) -> None:
    client = client_for("admin")
    page = client.get(URL, {"preset": "frozen-lite0"}).content.decode()
    assert 'name="s-backbone"' in page
    assert 'name="s-image_size"' not in page
    page = client.get(URL, {"preset": "table4-row8"}).content.decode()
    assert 'name="s-backbone"' not in page
    assert re.search(r'name="s-image_size" value="512"', page)


def test_changed_settings_are_trained_with(client_for: ClientFor, fields: dict[str, Any]) -> None:
    client_for("admin").post(URL, fields | {"s-epochs": "3", "s-lr": "1e-4", "s-views": ["flip"]})
    run = TrainingRun.objects.get()
    settings = PRESETS[PRESET].recipe.as_dict() | {"epochs": 3, "lr": 1e-4, "views": ["whole", "flip"]}
    assert run.recipe == settings
    assert run.preset == PRESET
    assert run.code_version
    page = client_for("viewer").get(run.get_absolute_url()).content.decode()
    assert "Changed from the preset" in page


def test_a_yes_or_no_is_chosen(client_for: ClientFor, fields: dict[str, Any]) -> None:
    row = "table4-row2"
    asked = fields | {"preset": row, "filled_from": row} | typed(PRESETS[row].recipe)
    client = client_for("admin")
    page = client.get(URL, {"preset": row}).content.decode()
    assert re.search(r'<option value="True" selected>yes</option>', page)
    client.post(URL, asked | {"s-channels_last": "False"})
    assert TrainingRun.objects.get().recipe["channels_last"] is False
    assert client.post(URL, asked | {"s-channels_last": "perhaps"}).status_code == 422


def test_a_setting_that_the_kind_ignores_is_refused(client_for: ClientFor, fields: dict[str, Any]) -> None:
    """In a browser without scripts the form of one preset may come back with another one chosen."""
    asked = fields | {"preset": "lite0-finetune", "s-dropout": "0.3"}
    response = client_for("admin").post(URL, asked)
    assert response.status_code == 422
    assert "is for frozen backbones only" in response.content.decode()
    assert not TrainingRun.objects.exists()


def test_the_form_asks_for_what_the_kind_obeys() -> None:
    for name, setting in SETTINGS.items():
        assert setting.kinds == tuple(kind for kind in ONLY if name not in ONLY[OTHER[kind]])


@pytest.mark.parametrize(("k", "status"), [("0.5", 302), ("6", 302), ("6.5", 422), ("-1", 422), ("nan", 422)])
def test_strength_of_distortion_is_any_number_from_0_to_6(
    client_for: ClientFor, fields: dict[str, Any], k: str, status: int
) -> None:
    row = "table4-row2"
    asked = fields | {"preset": row, "filled_from": row} | typed(PRESETS[row].recipe)
    response = client_for("admin").post(URL, asked | {"s-augment": k, "s-tta": "2", "s-tta_strength": k})
    assert response.status_code == status
    stored = list(TrainingRun.objects.values_list("recipe__augment", "recipe__tta_strength"))
    assert stored == ([(float(k), float(k))] if status == 302 else [])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epochs", "9999", "from 1 to 1000"),
        ("epochs", "many", "whole number"),
        ("lr", "", "required"),
        ("lr", "nan", "Enter a number"),
        ("split", "half", "sun-01 to sun-10"),
        ("backbone", "vgg99", "one of efficientnet_lite0"),
        ("optimizer", "magic", "not one of the available choices"),
        ("lr_min", "5", "above the learning rate"),
    ],
)
def test_wrong_setting_is_named_and_all_is_kept(
    client_for: ClientFor, fields: dict[str, Any], name: str, value: str, words: str
) -> None:
    wrong = fields | {f"s-{name}": value, "s-seed": "77", "name": "My run"}
    response = client_for("admin").post(URL, wrong)
    page = response.content.decode()
    assert response.status_code == 422
    assert re.search(rf'id="id_s-{name}_error">[^<]*{words}', page)
    assert 'value="77"' in page
    assert 'value="My run"' in page
    if name != "optimizer" and value:
        assert f'value="{value}"' in page
    assert not TrainingRun.objects.exists()


def test_all_wrong_settings_are_reported_at_once(client_for: ClientFor, fields: dict[str, Any]) -> None:
    page = client_for("admin").post(URL, fields | {"s-epochs": "0", "s-dropout": "7"}).content.decode()
    assert page.count('class="error"') == 2


def test_preset_that_is_gone_is_reported_and_settings_are_kept(
    client_for: ClientFor, fields: dict[str, Any]
) -> None:
    stale = fields | {"preset": "gone", "filled_from": "gone", "s-seed": "77"}
    response = client_for("admin").post(URL, stale)
    assert response.status_code == 422
    assert "gone is not one of the available choices" in response.content.decode()
    assert 'value="77"' in response.content.decode()


def test_choosing_a_preset_fills_the_settings(client_for: ClientFor, fields: dict[str, Any]) -> None:
    client = client_for("admin")
    same_preset = client.get(URL, fields | {"s-seed": "77"}, headers={"hx-request": "true"}).content.decode()
    assert 'name="s-seed" value="77"' in same_preset
    other = fields | {"s-seed": "77", "preset": "frozen-lite2"}
    other_preset = client.get(URL, other, headers={"hx-request": "true"}).content.decode()
    assert 'name="s-seed" value="0"' in other_preset
    assert 'name="filled_from" value="frozen-lite2"' in other_preset


def test_other_preset_without_script_takes_over_what_was_changed(
    client_for: ClientFor, fields: dict[str, Any]
) -> None:
    client_for("admin").post(URL, fields | {"preset": "frozen-lite2", "s-seed": "77"})
    assert TrainingRun.objects.get().recipe == PRESETS["frozen-lite2"].recipe.as_dict() | {"seed": 77}


def test_same_settings_twice_are_one_run_and_others_are_another(
    client_for: ClientFor, fields: dict[str, Any]
) -> None:
    client = client_for("admin")
    for _ in range(2):
        client.post(URL, fields | {"s-seed": "1"})
    assert TrainingRun.objects.count() == Job.objects.count() == 1
    client.post(URL, fields | {"s-seed": "2"})
    assert TrainingRun.objects.count() == 2


# --- from another run -------------------------------------------------------------------------


@pytest.mark.parametrize("state", [Job.State.SUCCEEDED, Job.State.FAILED, Job.State.CANCELLED])
def test_any_run_can_be_changed_and_run_again(
    client_for: ClientFor, run: TrainingRun, release: Release, state: str
) -> None:
    recipe = PRESETS[PRESET].recipe.as_dict() | {"seed": 5, "epochs": 7}
    TrainingRun.objects.update(recipe=recipe)
    Job.objects.update(state=state)
    Release.objects.create(number=2, note="Newer")
    client = client_for("admin")
    page = client.get(f"{URL}?based_on={run.pk}").content.decode()
    assert 'name="s-epochs" value="7"' in page
    assert 'name="name" maxlength="100" value="Tiny, frozen"' in page
    assert f'<option value="{release.pk}" selected>' in page
    form_data = {"photo_set": run.photo_set_id, "release": release.pk, "preset": PRESET, "based_on": run.pk}
    form_data |= {"filled_from": f"{run.pk}:{PRESET}"} | typed(Recipe.from_dict(recipe)) | {"s-epochs": "9"}
    client.post(URL, form_data)
    again = TrainingRun.objects.exclude(pk=run.pk).get()
    assert again.based_on == run
    assert again.recipe == recipe | {"epochs": 9}
    page = client.get(again.get_absolute_url()).content.decode()
    assert f'Based on <a href="{run.get_absolute_url()}">' in page
    assert again.get_absolute_url() in client.get(run.get_absolute_url()).content.decode()


def test_run_of_an_older_version_fills_what_it_knows(client_for: ClientFor, run: TrainingRun) -> None:
    TrainingRun.objects.update(recipe={"kind": "frozen", "epochs": 7, "forgotten": 1}, preset="gone")
    page = client_for("admin").get(f"{URL}?based_on={run.pk}").content.decode()
    assert 'name="s-epochs" value="7"' in page


def test_run_that_is_gone_cannot_be_based_on(client_for: ClientFor, fields: dict[str, Any]) -> None:
    client = client_for("admin")
    assert client.get(f"{URL}?based_on=999").status_code == 404
    assert client.get(f"{URL}?based_on=nonsense").status_code == 404
    assert client.post(URL, fields | {"based_on": 999, "filled_from": f"999:{PRESET}"}).status_code == 422
    assert not TrainingRun.objects.exists()


def test_start_run_refuses_invalid_settings(photo_set: PhotoSet, release: Release) -> None:
    with pytest.raises(ValueError, match="epochs"):
        start.start_run(photo_set=photo_set, release=release, preset=PRESET, by=None, recipe={"epochs": 0})


@pytest.mark.parametrize("role", ["stranger", "viewer", "curator"])
def test_others_may_not_run_again(
    client_for: ClientFor, run: TrainingRun, fields: dict[str, Any], role: str
) -> None:
    for answer in (client_for(role).get(f"{URL}?based_on={run.pk}"), client_for(role).post(URL, fields)):
        assert answer.status_code == (302 if role == "stranger" else 403)
    assert TrainingRun.objects.count() == 1


def test_several_processes_are_asked_for_and_several_machines_refused(
    client_for: ClientFor, photo_set: PhotoSet, release: Release, fields: dict[str, Any]
) -> None:
    client, fast = client_for("admin"), "finetune-fast"
    choices = {"photo_set": photo_set.pk, "release": release.pk, "preset": fast, "filled_from": fast}
    asked = choices | typed(PRESETS[fast].recipe) | {"s-processes": "3"}
    refused = client.post(URL, asked | {"s-nodes": "2"})
    assert refused.status_code == 422
    assert (
        "must be 1 here: a training on several machines is started in a terminal" in refused.content.decode()
    )
    assert not TrainingRun.objects.exists()
    machine = as_json(Machine(cores=2, memory=8 * 10**9))
    Worker.objects.create(name="small:1", seen_at=timezone.now(), machine=machine)
    page = client.post(URL, asked, follow=True).content.decode()
    words = "It needs 3 GPUs, or cores where there is no GPU; the largest worker has 2."
    assert f"The run waits: {words}" in page
    assert f"No worker can take it. {words}" in page
    assert TrainingRun.objects.get().job.needs["processes"] == 3


def test_programs_cannot_start_a_run_of_several_machines(photo_set: PhotoSet, release: Release) -> None:
    recipe = {"kind": "finetune", "nodes": 2}
    with pytest.raises(RecipeError, match="nodes: must be 1 here"):
        start.start_run(photo_set=photo_set, release=release, preset="finetune-fast", by=None, recipe=recipe)
    assert not Job.objects.exists()
