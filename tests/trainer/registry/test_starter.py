"""The starter model: assembled once, active if no other model is, and served without torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from tests.trainer.conftest import jpeg
from trainer.models import Promotion, TrainedModel
from trainer.registry import promotion, starter
from trainer.registry.serving import active_model, suggest

pytestmark = [pytest.mark.django_db, pytest.mark.integration]


@pytest.mark.usefixtures("starter")
def test_installed_twice_is_one_active_model_that_suggests() -> None:
    first = starter.install_starter()
    assert starter.install_starter() == first == active_model()
    assert TrainedModel.objects.count() == Promotion.objects.count() == 1
    assert first.card
    answer = next(iter(suggest([jpeg(size=(300, 200))])))
    assert sum(answer.probabilities.values()) == pytest.approx(1)


@pytest.fixture
def assembled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for the engine's assembly, which the test above does for real."""
    digests: list[str] = []

    def assemble(digest: str, found: TrainedModel | None, by: Any) -> TrainedModel:
        digests.append(digest)
        model = found or TrainedModel(name="Starter model")
        model.manifest = {"starter": digest}
        model.save()
        model.folder.mkdir(parents=True, exist_ok=True)
        (model.folder / "manifest.json").write_text("{}")
        return model

    monkeypatch.setattr(starter, "_assemble", assemble)
    return digests


def test_own_model_stays_active(assembled: list[str], model_for: Any) -> None:
    own = model_for("Own")
    promotion.promote(model=own, by=None)
    starter.install_starter()
    assert active_model() == own


def test_newer_starter_replaces_only_an_older_one(
    assembled: list[str], model_for: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = starter.install_starter()
    monkeypatch.setattr(starter, "_digest", lambda folder: "newer")
    new = starter.install_starter()
    assert (old.pk != new.pk, active_model()) == (True, new)
    promotion.roll_back(by=None)
    starter.install_starter()
    assert active_model() == old  # a restart does not undo a decision
    promotion.promote(model=model_for("Own", run=run), by=None)
    monkeypatch.setattr(starter, "_digest", lambda folder: "newest")
    starter.install_starter()
    active = active_model()
    assert active
    assert active.name == "Own"


def test_files_lost_from_disk_are_made_again(assembled: list[str]) -> None:
    first = starter.install_starter()
    (first.folder / "manifest.json").unlink()
    assert starter.install_starter() == first
    assert len(assembled) == 2


def test_serving_never_imports_torch() -> None:
    code = (
        "import sys, django; django.setup(); "
        "import trainer.urls, trainer.api, trainer.engine.serving.predict;"
        "sys.exit('torch' in sys.modules)"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "hashtags_site.settings", "SCENETAG_VAR": str(settings.VAR_DIR)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=settings.BASE_DIR).returncode == 0
    )
