"""MiniLM's network and tokens, on a small network of the same kind whose weights are drawn at random."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from mapping.lexicon import embeddings, minilm

WIDTH, INNER, LAYERS, POSITIONS = 12, 20, 2, 8
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "beach", "cafe", "##s", "-", "old"]


def weights() -> dict[str, NDArray[Any]]:
    draw = np.random.default_rng(0)
    tensors: dict[str, NDArray[Any]] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        tensors[f"{name}.weight"] = draw.normal(0, 0.5, (rows, columns))
        tensors[f"{name}.bias"] = draw.normal(0, 0.5, rows)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = draw.normal(1, 0.2, WIDTH)
        tensors[f"{name}.bias"] = draw.normal(0, 0.2, WIDTH)

    for kind, rows in (("word", len(WORDS)), ("position", POSITIONS), ("token_type", 2)):
        tensors[f"embeddings.{kind}_embeddings.weight"] = draw.normal(0, 1, (rows, WIDTH))
    norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{name}.attention.{part}", WIDTH, WIDTH)
        norm(f"{name}.attention.output.LayerNorm")
        linear(f"{name}.intermediate.dense", INNER, WIDTH)
        linear(f"{name}.output.dense", WIDTH, INNER)
        norm(f"{name}.output.LayerNorm")
    linear("pooler.dense", WIDTH, WIDTH)  # in the file, and not part of a sentence's vector
    return {name: values.astype(np.float32) for name, values in tensors.items()}


def tokenizer() -> Tokenizer:
    numbers = {word: number for number, word in enumerate(WORDS)}
    tokens = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokens.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokens.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokens.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokens.enable_padding(length=POSITIONS)  # as in the package's file; padding must not change a vector
    return tokens


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    config = {"num_attention_heads": 3, "num_hidden_layers": LAYERS, "hidden_size": WIDTH}
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-12}))
    save_file(weights(), folder / "model.safetensors")
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def test_vectors_equal_those_of_pytorch(model: Path) -> None:
    """What nn.TransformerEncoderLayer gives with these weights, mean over tokens, divided by its length."""
    cafe, unknown, longest = minilm.Network(model).vectors(["A café", "beaches", "an old-cafes beach"])
    assert cafe[:6] == pytest.approx([-0.36581, 0.7518, 0.29711, -0.13603, 0.18617, 0.04323], abs=1e-5)
    assert cafe[6:] == pytest.approx([-0.13629, -0.27269, -0.04929, -0.07222, -0.20608, 0.12093], abs=1e-5)
    assert unknown[:3] == pytest.approx([-0.40843, 0.63984, 0.3561], abs=1e-5)
    assert longest[:3] == pytest.approx([-0.24948, 0.68616, 0.32717], abs=1e-5)


def test_each_text_gets_its_own_vector_whatever_comes_with_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minilm, "BATCH", 2)
    network = minilm.Network(model)
    texts = ["a", "old beach", "cafe", "", "beach", "a cafe", "-"]
    together = network.vectors(texts)
    for text, vector in zip(texts, together, strict=True):
        assert vector == pytest.approx(network.vectors([text])[0], abs=1e-6)


def test_long_texts_are_cut(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "TOKENS", 5)
    whole, cut = minilm.Network(model).vectors(["a cafe beach old old old old old", "a cafe beach"])
    assert whole == pytest.approx(cut, abs=1e-6)


def test_vectors_are_kept_for_the_next_process(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "folder", lambda: model)
    monkeypatch.setattr(embeddings, "WIDTH", WIDTH)
    many = ["a " * n + word for n in range(4) for word in ("cafe", "beach", "old", "-")]
    first = embeddings.embed(many, tmp_path)
    assert first is not None
    monkeypatch.setattr(minilm, "Network", None)
    embeddings._network.cache_clear()
    again = embeddings.embed(many, tmp_path)
    assert again == pytest.approx(first, abs=1e-3)  # kept with half the digits


def test_without_a_model_there_are_no_vectors() -> None:
    assert not embeddings.available()
    assert embeddings.embed(["a photo of an abbey"]) is None
