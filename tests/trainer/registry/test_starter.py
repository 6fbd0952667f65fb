"""The starter models: assembled once, active if no other model is, and served without torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command

from tests.trainer.conftest import jpeg
from trainer.engine import backbones
from trainer.models import Promotion, TrainedModel
from trainer.registry import promotion, starter
from trainer.registry.serving import active_model, suggest

pytestmark = [pytest.mark.django_db, pytest.mark.integration]


@pytest.mark.usefixtures("starter")
def test_installed_twice_is_one_active_model_that_suggests() -> None:
    [first] = starter.install_starters()
    assert starter.install_starters() == [first]
    assert active_model() == first
    assert TrainedModel.objects.count() == Promotion.objects.count() == 1
    assert first.card
    answer = next(iter(suggest([jpeg(size=(300, 200))])))
    assert sum(answer.probabilities.values()) == pytest.approx(1)


class Assembly:
    """Stands in for the engine's assembly, which the test above does for real."""

    def __init__(self) -> None:
        self.digests: list[str] = []
        self.version = "1"
        self.speeds = {"accurate", "fast"}  # whose weights are here
        self.broken: set[str] = set()

    def has_weights(self, folder: Path) -> bool:
        return folder.name in self.speeds

    def digest(self, folder: Path, parts: Sequence[TrainedModel] = ()) -> str:
        return f"{folder.name}-{self.version}"

    def assemble(
        self, speed: str, digest: str, parts: Sequence[TrainedModel], found: TrainedModel | None, by: Any
    ) -> TrainedModel:
        if speed in self.broken:
            raise RuntimeError(f"{speed} is broken")
        self.digests.append(digest)
        self.parts = [str(part.manifest["starter"]) for part in parts]
        model = found or TrainedModel(name=starter.NAMES[speed])
        model.manifest = {"starter": digest, "speed": speed} | ({"cascade": {}} if parts else {})
        model.save()
        model.folder.mkdir(parents=True, exist_ok=True)
        for name in ("manifest.json", "model.onnx", *["first.onnx"] * (speed == "cascade")):
            (model.folder / name).write_text("{}")
        return model


@pytest.fixture
def assembly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Assembly:
    assembly = Assembly()
    monkeypatch.setattr(starter, "STARTERS", tmp_path / "starters")
    monkeypatch.setattr(starter, "_assemble", assembly.assemble)
    monkeypatch.setattr(starter, "_digest", assembly.digest)
    monkeypatch.setattr(starter, "_has_weights", assembly.has_weights)
    return assembly


def active_digest() -> str:
    model = active_model()
    assert model
    return str(model.manifest.get("starter", ""))


@pytest.mark.parametrize("wanted", ["accurate", "fast"])
def test_the_setting_chooses_among_two(assembly: Assembly, settings: Any, wanted: str) -> None:
    settings.STARTER = wanted
    assert len(starter.install_starters()) == 2
    assert active_digest() == f"{wanted}-1"
    assert Promotion.objects.count() == 1


def test_a_cascade_is_joined_from_both(assembly: Assembly, settings: Any) -> None:
    limits = starter.STARTERS / "cascade/starter.json"
    limits.parent.mkdir(parents=True)
    limits.write_text("{}")
    settings.STARTER = "cascade"
    assembly.speeds = {"fast"}
    assert len(starter.install_starters()) == 1  # there is nothing to join it with
    assembly.speeds = {"accurate", "fast"}
    assert [model.manifest["speed"] for model in starter.install_starters()] == [
        "accurate",
        "fast",
        "cascade",
    ]
    assert assembly.parts == ["fast-1", "accurate-1"]
    assert active_digest() == "cascade-1"


def test_without_its_weights_the_fast_one_is_active_until_they_come(assembly: Assembly) -> None:
    assembly.speeds = {"fast"}
    starter.install_starters()
    assert (active_digest(), TrainedModel.objects.count()) == ("fast-1", 1)
    assembly.speeds = {"accurate", "fast"}
    starter.install_starters()
    assert active_digest() == "accurate-1"


def test_the_wanted_one_goes_before_the_successor(assembly: Assembly) -> None:
    assembly.speeds = {"fast"}
    starter.install_starters()
    assembly.speeds, assembly.version = {"accurate", "fast"}, "2"
    starter.install_starters()
    promoted = Promotion.objects.order_by("pk").values_list("model__manifest__starter", flat=True)
    assert list(promoted) == ["fast-1", "accurate-2"]


def test_a_persons_choice_of_the_fast_one_stays(assembly: Assembly, admin_user: User) -> None:
    assembly.speeds = {"fast"}
    [fast] = starter.install_starters()
    promotion.promote(model=TrainedModel.objects.create(name="Own", manifest={"labels": []}), by=admin_user)
    promotion.promote(model=fast, by=admin_user)
    assembly.speeds = {"accurate", "fast"}
    starter.install_starters()
    assert active_digest() == "fast-1"
    assembly.version = "2"
    starter.install_starters()
    assert active_digest() == "fast-2"  # its successor: the person chose the fast one


def test_own_model_stays_active(assembly: Assembly, model_for: Any) -> None:
    own = model_for("Own")
    promotion.promote(model=own, by=None)
    starter.install_starters()
    assert active_model() == own


def test_newer_starter_replaces_only_an_older_one(assembly: Assembly, model_for: Any, run: Any) -> None:
    assembly.speeds = {"accurate"}
    starter.install_starters()
    assembly.version = "2"
    starter.install_starters()
    assert active_digest() == "accurate-2"
    promotion.roll_back(by=None)
    starter.install_starters()
    assert active_digest() == "accurate-1"  # a restart does not undo a decision
    promotion.promote(model=model_for("Own", run=run), by=None)
    assembly.version = "3"
    starter.install_starters()
    active = active_model()
    assert active
    assert active.name == "Own"


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "first.onnx"])
def test_files_lost_from_disk_are_made_again(assembly: Assembly, name: str) -> None:
    limits = starter.STARTERS / "cascade/starter.json"
    limits.parent.mkdir(parents=True)
    limits.write_text("{}")
    models = starter.install_starters()
    assert len(models) == 3
    (models[-1].folder / name).unlink()
    assert starter.install_starters() == models
    assert assembly.digests == ["accurate-1", "fast-1", "cascade-1", "cascade-1"]


def test_one_that_cannot_be_assembled_does_not_stop_the_start(
    assembly: Assembly, capsys: pytest.CaptureFixture[str]
) -> None:
    assembly.broken = {"accurate"}
    call_command("prepare")
    printed = capsys.readouterr()
    assert "Model: Starter model, fast" in printed.out
    assert "Starter model, accurate: accurate is broken" in printed.err
    assert active_digest() == "fast-1"
    assembly.broken = set()
    starter.install_starters()
    assert active_digest() == "accurate-1"


def test_if_none_can_be_assembled_the_start_says_why(assembly: Assembly) -> None:
    assembly.broken = {"accurate", "fast"}
    with pytest.raises(RuntimeError, match="fast is broken"):
        starter.install_starters()
    assert not TrainedModel.objects.exists()


def test_without_any_weights_there_is_no_model_and_no_error(assembly: Assembly) -> None:
    assembly.speeds = set()
    assert starter.install_starters() == []


@pytest.mark.usefixtures("assembly")
def test_two_programs_do_not_install_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is at work, another does not get the lock."""
    held = []

    def look(folder: Path) -> bool:
        argv = ["flock", "--nonblock", str(Path(settings.MODELS_DIR).with_suffix(".lock")), "true"]
        held.append(subprocess.run(argv, check=False).returncode == 1)
        return False

    monkeypatch.setattr(starter, "_has_weights", look)
    starter.install_starters()
    assert held == [True, True]


def test_the_engines_reason_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    event = '{"event": "error", "message": "the weights are damaged", "hint": "Fetch them again."}'
    monkeypatch.setattr(starter, "engine_command", lambda *_: ["sh", "-c", f"echo '{event}'; exit 1"])
    with pytest.raises(RuntimeError, match=r"^the weights are damaged\. Fetch them again\.$"):
        starter._make_folder("fast", [], tmp_path)


def test_only_files_lost_from_disk_are_made_again(assembly: Assembly) -> None:
    assembly.speeds = {"fast"}
    [first] = starter.install_starters()
    assert starter.install_starters() == [first]
    assert len(assembly.digests) == 1
    (first.folder / "manifest.json").unlink()
    assert starter.install_starters() == [first]
    assert len(assembly.digests) == 2


def test_weights_that_are_not_here_are_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(backbones, "WEIGHTS_DIR", tmp_path)
    assert not starter._has_weights(starter.STARTERS / "accurate")
    assert starter._has_weights(starter.STARTERS / "fast")


def test_serving_never_imports_torch() -> None:
    code = (
        "import sys, django; django.setup(); "
        "import trainer.urls, serving.api.urls, trainer.engine.serving.predict;"
        "sys.exit('torch' in sys.modules)"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "hashtags_site.settings", "SCENETAG_VAR": str(settings.VAR_DIR)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=settings.BASE_DIR).returncode == 0
    )
