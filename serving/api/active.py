"""The active model as a program sees it, and the tag that changes whenever its answers may change."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from formats.json_text import to_json
from serving.api.refusals import BrokenModel, NoModel
from serving.trials import Chooser, load_chooser
from trainer.engine.errors import ModelError
from trainer.models import TrainedModel
from trainer.registry.promises import promise_of
from trainer.registry.serving import NoActiveModel, suggester

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Suggester

TAG_LENGTH = 32
log = logging.getLogger(__name__)


def load_active() -> tuple[Chooser, Suggester]:
    """Who answers now, and the active model's network. Raises NoModel and BrokenModel."""
    try:
        chooser = load_chooser()
        return chooser, suggester(model=chooser.active, beside=chooser.in_use)
    except NoActiveModel as error:
        raise NoModel from error
    except ModelError as error:
        log.error("The active model cannot be used: %s", error)
        raise BrokenModel from error


def describe(model: TrainedModel, network: Suggester, blocked: Collection[str]) -> dict[str, Any]:
    """What a program may know of the model. `tag` covers the whole manifest, the way photos are opened, and
    all that is told here: with the same tag, the same photo and options get the same answer.
    """
    facts = {
        "name": model.name,
        "sha256": str(network.manifest.get("sha256", "")),
        "labels": network.labels,
        "thresholds": {
            label: value if value <= 1 else None for label, value in sorted(network.thresholds.items())
        },
        "blocked": sorted(set(network.labels) & set(blocked)),
        "target_precision": network.manifest.get("target_precision"),
        "promise": promise_of(network.manifest),
    }
    digest = hashlib.sha256((network.digest + to_json(facts)).encode()).hexdigest()
    return facts | {"tag": digest[:TAG_LENGTH]}
