"""The models that answer as a program sees them, and tags that change whenever their answers may change."""

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


def load_challenger(chooser: Chooser) -> Suggester | None:
    """The network of the model that a trial has answer a share of the photos; None without a trial. One that
    cannot be used is no reason to answer nothing: the active model answers its photos.
    """
    if chooser.trial is None:
        return None
    try:
        return suggester(model=chooser.trial.challenger, beside=chooser.in_use)
    except (NoActiveModel, ModelError) as error:
        log.error("The challenger of a trial cannot be used: %s", error)
        return None


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


def describe_challenger(chooser: Chooser, blocked: Collection[str]) -> dict[str, Any] | None:
    """What a program may know of a trial that runs: the other model's tag, and its share of the photos."""
    network = load_challenger(chooser)
    if chooser.trial is None or network is None:
        return None
    facts = describe(chooser.trial.challenger, network, blocked)
    return {"tag": facts["tag"], "name": facts["name"], "share": chooser.trial.share}


def etag_of(tag: str, challenger: dict[str, Any] | None) -> str:
    """The tag of the active model; during a trial one of its own, which changes with either model's."""
    if challenger is None:
        return tag
    digest = hashlib.sha256((tag + to_json(challenger)).encode()).hexdigest()
    return digest[:TAG_LENGTH]
