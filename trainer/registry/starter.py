"""Installs the starter models, each assembled from its head and a backbone: an accurate one, a fast one, and
both as a cascade.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from formats.json_text import from_json
from formats.texts import Text, joined_texts, text_of
from jobs.processes import read_event
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import WeightsError
from trainer.models import Promotion, TrainedModel
from trainer.programs import engine_command
from trainer.registry.files import at_hand, publish
from trainer.registry.promotion import promote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

STARTERS = settings.BASE_DIR / "trainer/starter"
SPEEDS = ("accurate", "fast")
CASCADE = "cascade"  # of both: trainer.engine.evaluation.cascade
NAMES = {speed: f"Starter model, {speed}" for speed in (*SPEEDS, CASCADE)}
FACTS = "starter.json"
log = logging.getLogger(__name__)


def install_starters(
    *, by: AbstractBaseUser | None = None, warn: Callable[[str], object] = log.warning, wanted: str = ""
) -> list[TrainedModel]:
    """Assemble the models that ship with the program and whose backbone's weights are here. Idempotent, also
    if two programs do it at once.

    The wanted one, by default that of the setting STARTER, becomes active if no model is, or only a starter
    that nobody chose. The starter of a newer program becomes a model beside the old one, and active if the
    old one was. One that cannot be assembled is passed over, and ``warn`` is told why; RuntimeError is raised
    if all are.
    """
    with _only_installer():
        return _install_all(by, warn, wanted or settings.STARTER)


@contextmanager
def _only_installer() -> Iterator[None]:
    """Waits for another program that installs the starters; the kernel frees the lock if that one dies."""
    lock = Path(settings.MODELS_DIR).with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install_all(
    by: AbstractBaseUser | None, warn: Callable[[str], object], wanted: str
) -> list[TrainedModel]:
    models: dict[str, tuple[TrainedModel, bool]] = {}
    problems = []
    for speed in (*SPEEDS, CASCADE):
        parts = [models[name][0] for name in ("fast", "accurate") if name in models and speed == CASCADE]
        if not (_can_join(parts) if speed == CASCADE else _has_weights(STARTERS / speed)):
            continue
        try:
            models[speed] = _install(speed, parts, by)
        except (RuntimeError, OSError) as error:
            problems.append(joined_texts(NAMES[speed], text_of(error), by=": "))
            warn(problems[-1])
    if not models:
        if problems:
            raise RuntimeError(problems[-1])
        return []
    wanted = wanted if wanted in models else next(iter(models))
    for speed in sorted(models, key=lambda speed: speed != wanted):  # the wanted one first
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
        return True
    if not is_new or "starter" not in current.model.manifest:
        return False
    is_successor = current.model.manifest.get("speed", "fast") == speed
    nobody_chose = not Promotion.objects.exclude(promoted_by=None).exists()
    return is_successor or (is_wanted and nobody_chose)


def _can_join(parts: Sequence[TrainedModel]) -> bool:
    return len(parts) == len(SPEEDS) and (STARTERS / CASCADE / FACTS).exists()


def _has_weights(folder: Path) -> bool:
    """Whether the backbone that the packed head belongs to can be loaded here."""
    try:
        facts = from_json((folder / FACTS).read_text(encoding="utf-8"))
        for name in facts["recipe"]["backbone"].split("+"):
            BACKBONES[name].weights()
    except (FileNotFoundError, WeightsError):
        return False
    return True


def _install(
    speed: str, parts: Sequence[TrainedModel], by: AbstractBaseUser | None
) -> tuple[TrainedModel, bool]:
    """The starter of that speed, and whether it is new here. A cascade is joined from two models."""
    digest = _digest(STARTERS / speed, parts)
    earlier_model = TrainedModel.objects.filter(manifest__starter=digest).first()
    model = earlier_model
    if model is None or not model.has_files:
        model = _assemble(speed, digest, parts, earlier_model, by)
    return model, earlier_model is None


def _digest(folder: Path, parts: Sequence[TrainedModel] = ()) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md")
    content = b"".join(hashlib.sha256(p.read_bytes()).digest() for p in files)
    content += b"".join(str(model.manifest["starter"]).encode() for model in parts)
    return hashlib.sha256(content).hexdigest()[:16]


def _assemble(
    speed: str,
    digest: str,
    parts: Sequence[TrainedModel],
    model: TrainedModel | None,
    by: AbstractBaseUser | None,
) -> TrainedModel:
    folder = Path(settings.MODELS_DIR) / f"starter-{digest}.part"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _make_folder(speed, parts, folder)
        return _put_in_place(folder, speed, digest, model, by)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder(speed: str, parts: Sequence[TrainedModel], folder: Path) -> None:
    """Raises RuntimeError with the engine's message."""
    with ExitStack() as stack:
        sources = [stack.enter_context(at_hand(part)) for part in parts]
        if sources:
            command = engine_command("join", STARTERS / speed / FACTS, *sources, folder)
        else:
            command = engine_command("assemble", STARTERS / speed, folder)
        result = subprocess.run(command, capture_output=True, text=True, cwd=settings.BASE_DIR, check=False)
    if result.returncode:
        raise RuntimeError(
            _reason(result.stdout)
            or result.stderr.strip()[-1500:]
            or Text(
                "The process ended with code %(code)s: %(said)s",
                code=str(result.returncode),
                said=Text("it wrote nothing"),
            )
        )


def _reason(output: str) -> str:
    """The message and hint of the error with which the engine ended; empty if it told none."""
    event = read_event(output.strip().rpartition("\n")[2])
    if event is None or "message" not in event:
        return ""
    return joined_texts(event["message"], event.get("hint", ""), by=". ")


def _put_in_place(
    folder: Path, speed: str, digest: str, model: TrainedModel | None, by: AbstractBaseUser | None
) -> TrainedModel:
    manifest = from_json((folder / "manifest.json").read_text()) | {"starter": digest, "speed": speed}
    card = STARTERS / speed / "CARD.md"
    with transaction.atomic():
        model = model or TrainedModel(name=NAMES[speed], created_by_id=by.pk if by else None)
        model.manifest = manifest
        model.card = card.read_text() if card.exists() else ""
        model.save()
        shutil.rmtree(model.folder, ignore_errors=True)
        folder.rename(model.folder)
        publish(model)
    return model
