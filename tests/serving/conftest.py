"""Shared with the trainer's tests: a small active model, in folders of its own."""

from tests.trainer.conftest import _own_folders, active_model, model_for, tiny_model

__all__ = ["_own_folders", "active_model", "model_for", "tiny_model"]
