"""Small copies of photos that are shown once and never stored."""

from __future__ import annotations

import base64
import io

from trainer.engine.opening import open_within


def data_url(content: bytes) -> str:
    """A small copy of the photo for an img tag. Raises UnreadablePhotoError."""
    out = io.BytesIO()
    open_within(content, (640, 640)).save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
