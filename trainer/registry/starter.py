"""Installs the starter models, each assembled from its head and a backbone: one accurate, one fast."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from formats.json_text import from_json
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import WeightsError
from trainer.models import Promotion, TrainedModel
from trainer.programs import engine_command
from trainer.registry.promotion import promote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

STARTERS = settings.BASE_DIR / "trainer/starter"
NAMES = {"accurate": "Starter model, accurate", "fast": "Starter model, fast"}


def install_starters(*, by: AbstractBaseUser | None = None) -> list[TrainedModel]:
    """Assemble the models that ship with the program and whose backbone's weights are here. Idempotent.

    The one that the setting STARTER names becomes active if no model is, or only a starter that nobody chose.
    The starter of a newer program becomes a model beside the old one, and active if the old one was. Raises
    RuntimeError with the engine's message if one cannot be assembled.
    """
    models = {speed: _install(speed, by) for speed in NAMES if _has_weights(STARTERS / speed)}
    wanted = settings.STARTER if settings.STARTER in models else next(iter(models))
    for speed in sorted(models, key=lambda speed: speed == wanted):  # the wanted one last: it wins
        model, is_new = models[speed]
        if _takes_over(speed, is_new=is_new, is_wanted=speed == wanted):
            promote(model=model, by=by)
    return [model for model, _ in models.values()]


def _takes_over(speed: str, *, is_new: bool, is_wanted: bool) -> bool:
    """Whether a starter becomes active. Only a new one replaces another: otherwise the next start would undo
    a person's choice.
    """
    current = Promotion.objects.current()
    if current is None:
        return is_wanted
    if not is_new or "starter" not in current.model.manifest:
        return False
    is_successor = current.model.manifest.get("speed", "fast") == speed
    nobody_chose = not Promotion.objects.exclude(promoted_by=None).exists()
    return is_successor or (is_wanted and nobody_chose)


def _has_weights(folder: Path) -> bool:
    """Whether the backbone that the packed head belongs to can be loaded here."""
    try:
        facts = from_json((folder / "starter.json").read_text(encoding="utf-8"))
        for name in facts["recipe"]["backbone"].split("+"):
            BACKBONES[name].weights()
    except (FileNotFoundError, WeightsError):
        return False
    return True


def _install(speed: str, by: AbstractBaseUser | None) -> tuple[TrainedModel, bool]:
    """The starter of that speed, and whether it is new here."""
    digest = _digest(STARTERS / speed)
    earlier_model = TrainedModel.objects.filter(manifest__starter=digest).first()
    model = earlier_model
    if model is None or not (model.folder / "manifest.json").exists():
        model = _assemble(speed, digest, earlier_model, by)
    return model, earlier_model is None


def _digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md")
    return hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in files)).hexdigest()[:16]


def _assemble(
    speed: str, digest: str, model: TrainedModel | None, by: AbstractBaseUser | None
) -> TrainedModel:
    part = Path(settings.MODELS_DIR) / f"starter-{digest}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        return _put_in_place(part, speed, digest, model, by)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put_in_place(
    part: Path, speed: str, digest: str, model: TrainedModel | None, by: AbstractBaseUser | None
) -> TrainedModel:
    part.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(
        engine_command("assemble", STARTERS / speed, part),
        capture_output=True,
        text=True,
        cwd=settings.BASE_DIR,
        check=False,
    )
    if result.returncode:
        raise RuntimeError((result.stdout + result.stderr).strip()[-1500:] or f"code {result.returncode}")
    manifest = from_json((part / "manifest.json").read_text()) | {"starter": digest, "speed": speed}
    card = STARTERS / speed / "CARD.md"
    with transaction.atomic():
        model = model or TrainedModel(name=NAMES[speed], created_by_id=by.pk if by else None)
        model.manifest = manifest
        model.card = card.read_text() if card.exists() else ""
        model.save()
        shutil.rmtree(model.folder, ignore_errors=True)
        part.rename(model.folder)
    return model
