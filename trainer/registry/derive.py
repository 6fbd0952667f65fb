"""Models derived from another one: the same network, with thresholds or labels of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from formats.json_text import to_json
from formats.storage import for_own_files, raise_if_of_storage
from trainer.models import TrainedModel
from trainer.registry.files import at_hand, publish
from trainer.registry.packages import CARD, KEYS, MANIFEST
from trainer.runs.start import NotReady

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def derive(
    *, model: TrainedModel, name: str, changes: dict[str, Any], card: str, by: AbstractBaseUser | None
) -> TrainedModel:
    """A new model with this model's network, and its manifest with these changes. It is not promoted.

    A second request for the same changes returns the same model. Files are shared by hard links, or copied
    where a file system has none; deleting one model does not harm the other. What the manifest says about
    held-out photos is dropped, because it was measured with other thresholds, unless the changes name it.
    Raises NotReady for a model without files, and StorageFailure.
    """
    kept = {key: value for key, value in model.manifest.items() if key in KEYS - {"held_out", "promise"}}
    lineage = {**kept.get("lineage", {}), "derived_from": model.name, **changes.get("lineage", {})}
    manifest = kept | changes | {"lineage": lineage}
    with transaction.atomic():
        list(TrainedModel.objects.select_for_update().order_by("pk").values_list("pk"))  # as promote does
        if not model.is_ready or not TrainedModel.objects.filter(pk=model.pk).exists():
            raise NotReady(_("“%(name)s” is not exported yet, or it has been deleted.") % {"name": model})
        if earlier_model := _find_same(model, manifest):
            return earlier_model
        new = TrainedModel.objects.create(
            name=name[:100],
            run_id=model.run_id,
            release_id=model.release_id,
            derived_from=model,
            is_derived=True,
            target_precision=manifest.get("target_precision", model.target_precision),
            promise=manifest.get("promise", {}).get("kind", "none"),
            manifest=manifest,
            card=card,
            created_by_id=by.pk if by else None,
        )
        _share_files(model, new)
    return new


def _find_same(model: TrainedModel, manifest: dict[str, Any]) -> TrainedModel | None:
    same = (one for one in model.derived.all() if one.manifest == manifest and one.has_files)
    return next(same, None)


def _share_files(model: TrainedModel, new: TrainedModel) -> None:
    """Fill the new model's folder, which appears complete or not at all."""
    try:
        with at_hand(model) as folder:
            _link_files(model, folder, new)
    except FileNotFoundError as error:
        raise NotReady(_("The model's file is missing: import or export the model again.")) from error
    try:
        publish(new)
    except BaseException:
        shutil.rmtree(new.folder, ignore_errors=True)
        raise


def _link_files(model: TrainedModel, folder: Path, new: TrainedModel) -> None:
    with for_own_files():
        part = Path(tempfile.mkdtemp(dir=Path(settings.MODELS_DIR), prefix="derive-", suffix=".part"))
    try:
        part.chmod(0o755)
        for name in model.file_names:
            _link(folder / name, part / name)
        with for_own_files():
            (part / MANIFEST).write_text(to_json(new.manifest, indent=1))
            (part / CARD).write_text(new.card)
            shutil.rmtree(new.folder, ignore_errors=True)
            part.rename(new.folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError as error:
        raise_if_of_storage(error, Path(settings.MODELS_DIR))
        raise
    except OSError:  # a file system without hard links
        with for_own_files():
            shutil.copy2(source, target)
