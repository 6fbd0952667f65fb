"""Installs the starter model, assembled from its head and the packaged backbone."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from formats.json_text import from_json
from trainer.models import Promotion, TrainedModel
from trainer.programs import engine_command
from trainer.registry.promotion import promote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

STARTER = settings.BASE_DIR / "trainer/starter"


def install_starter(*, by: AbstractBaseUser | None = None) -> TrainedModel:
    """Assemble the model that ships with the program, and make it active if no other is. Idempotent.

    The starter of a newer program becomes a model beside the old one, and active only if the old starter
    was. Raises RuntimeError with the engine's message if it cannot be assembled.
    """
    digest = _digest(STARTER)
    earlier_model = TrainedModel.objects.filter(manifest__starter=digest).first()
    model = earlier_model
    if model is None or not (model.folder / "manifest.json").exists():
        model = _assemble(digest, earlier_model, by)
    current = Promotion.objects.current()
    # Only if it is new: otherwise the next start would undo a person's roll-back to the old one.
    if current is None or (earlier_model is None and "starter" in current.model.manifest):
        promote(model=model, by=by)
    return model


def _digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md")
    return hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in files)).hexdigest()[:16]


def _assemble(digest: str, model: TrainedModel | None, by: AbstractBaseUser | None) -> TrainedModel:
    part = Path(settings.MODELS_DIR) / f"starter-{digest}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        return _install(part, digest, model, by)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _install(
    part: Path, digest: str, model: TrainedModel | None, by: AbstractBaseUser | None
) -> TrainedModel:
    part.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(
        engine_command("assemble", STARTER, part),
        capture_output=True,
        text=True,
        cwd=settings.BASE_DIR,
        check=False,
    )
    if result.returncode:
        raise RuntimeError((result.stdout + result.stderr).strip()[-1500:] or f"code {result.returncode}")
    manifest = from_json((part / "manifest.json").read_text()) | {"starter": digest}
    card = STARTER / "CARD.md"
    with transaction.atomic():
        model = model or TrainedModel(name="Starter model", created_by_id=by.pk if by else None)
        model.manifest = manifest
        model.card = card.read_text() if card.exists() else ""
        model.save()
        shutil.rmtree(model.folder, ignore_errors=True)
        part.rename(model.folder)
    return model
