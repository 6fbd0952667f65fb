"""The starter model, assembled from its head and the packaged backbone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from trainer.models import Promotion, TrainedModel
from trainer.programs import engine
from trainer.registry.promotion import promote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

STARTER = settings.BASE_DIR / "trainer/starter"


def install_starter(*, by: AbstractBaseUser | None = None) -> TrainedModel:
    """The model that ships with the program: assembled once, active if no other is. Idempotent.

    A newer program's starter becomes a model of its own beside the old one, and active only if the old
    starter was. Raises RuntimeError with the engine's words when it cannot be assembled.
    """
    digest = _digest(STARTER)
    installed = TrainedModel.objects.filter(manifest__starter=digest).first()
    model = installed
    if model is None or not (model.folder / "manifest.json").exists():
        model = _assemble(digest, installed, by)
    current = Promotion.objects.current()
    # Only when it is new: who went back to the old one shall not find it undone by the next start.
    if current is None or (installed is None and "starter" in current.model.manifest):
        promote(model=model, by=by)
    return model


def _digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md")
    return hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in files)).hexdigest()[:16]


def _assemble(digest: str, installed: TrainedModel | None, by: AbstractBaseUser | None) -> TrainedModel:
    part = Path(settings.MODELS_DIR) / f"starter-{digest}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        engine("assemble", STARTER, part), capture_output=True, text=True, cwd=settings.BASE_DIR, check=False
    )
    if ended.returncode:
        raise RuntimeError((ended.stdout + ended.stderr).strip()[-1500:] or f"code {ended.returncode}")
    manifest = json.loads((part / "manifest.json").read_text()) | {"starter": digest}
    card = STARTER / "CARD.md"
    with transaction.atomic():
        model = installed or TrainedModel(name="Starter model", created_by_id=by.pk if by else None)
        model.manifest = manifest
        model.card = card.read_text() if card.exists() else ""
        model.save()
        shutil.rmtree(model.folder, ignore_errors=True)
        part.rename(model.folder)
    return model
