"""Shared with the trainer's tests: a small active model, a finished run, in folders of their own."""

from tests.trainer.conftest import (
    _own_folders,
    active_model,
    classes,
    finished_job,
    folder,
    model_for,
    photo_set,
    release,
    run,
    tiny_model,
)

__all__ = [
    "_own_folders",
    "active_model",
    "classes",
    "finished_job",
    "folder",
    "model_for",
    "photo_set",
    "release",
    "run",
    "tiny_model",
]
