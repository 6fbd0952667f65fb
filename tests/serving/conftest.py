"""Shared with the trainer's tests: a small active model, in folders of its own."""

from __future__ import annotations

import json

import pytest

from tests.trainer.conftest import _own_folders, active_model, model_for, tiny_model
from trainer.models import TrainedModel

__all__ = ["_own_folders", "active_model", "checking_model", "model_for", "tiny_model"]

CHECK = {"slope": 1.0, "shift": 0.0, "does_not_fit_below": 0.1, "fits_from": 0.8}


@pytest.fixture
def checking_model(active_model: TrainedModel) -> TrainedModel:
    """The active model, with checks: red is #beach, green is #bar, grey is doubtful."""
    manifest = active_model.manifest | {"checks": {"hashtags": {"beach": CHECK, "bar": CHECK}}}
    active_model.manifest = manifest | {"sha256": "1" * 64}  # processes keep a network by its hash
    active_model.save()
    (active_model.folder / "manifest.json").write_text(json.dumps(active_model.manifest))
    return active_model
