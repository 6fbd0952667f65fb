"""The clients' site: the real server with a small real model."""

from __future__ import annotations

from tests.serving.conftest import (
    _own_folders,
    active_model,
    checking_model,
    model_for,
    tiny_model,
)

__all__ = ["_own_folders", "active_model", "checking_model", "model_for", "tiny_model"]
