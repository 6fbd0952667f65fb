"""Errors of the engine, with messages and hints for the person who started it."""

from __future__ import annotations

from formats.texts import Text, joined_texts

NO_PHOTOS = Text(
    "Check that they are photos, such as JPEG, PNG or HEIC, and still in the photo set's folder."
)


class EngineError(Exception):
    """Ends a run. ``kind``: see the table in docs/engine.md. Message and hint are Texts."""

    kind = "export"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RecipeError(EngineError, ValueError):
    """A field of a recipe cannot be used; ``field`` names it."""

    kind = "recipe"

    def __init__(self, field: str, message: str, *, hint: str = "") -> None:
        super().__init__(joined_texts(field, message, by=": "), hint=hint)
        self.field = field
        self.reason = message  # without the field


class WeightsError(EngineError):
    kind = "weights"


class PhotosError(EngineError):
    kind = "photos"


class NotANumberError(EngineError):
    kind = "nan"


class LoaderDied(EngineError):
    """A process that reads photos was killed from outside. Training can continue where it was."""

    kind = "loader"


class PeerLost(EngineError):
    """Another process of this training has ended; that one says why."""

    kind = "peer"


class NoRoomError(EngineError):
    """The disk cannot hold what a training would write. Waiting does not help, so its kind is not disk."""

    kind = "room"


class ExportError(EngineError):
    kind = "export"


class ModelError(EngineError):
    """A model folder cannot be served: files missing, damaged, or of another format."""

    kind = "export"


class NoChecksError(ModelError):
    """The model suggests hashtags, but was exported before models could check those of others."""
