"""What the folder of a model says of it. Imports neither torch nor ONNX Runtime: every process has this."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from formats.json_text import from_json
from formats.storage import raise_if_of_storage
from formats.texts import Text
from trainer.engine.errors import ModelError

FORMAT = "scenetag-model/1"


def joint_sha256(accurate: str, fast: str) -> str:
    """The hash that names a cascade, of the hashes of its two files."""
    return hashlib.sha256((accurate + fast).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a model folder says of its model. Raises ModelError, StorageFailure."""
    try:
        manifest = from_json((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise_if_of_storage(error, folder.parent)
        raise ModelError(Text("there is no model in %(folder)s", folder=folder)) from None
    except (OSError, ValueError) as error:
        raise_if_of_storage(error)
        raise ModelError(Text("manifest.json cannot be read: %(error)s", error=error)) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(Text("manifest.json has a format that this version does not know"))
    return manifest
