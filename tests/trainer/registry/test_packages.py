"""Models as files: an exported model can be imported again, and nothing else can."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from onnx import TensorProto, helper, numpy_helper
from pytest_django import Settings

from formats.storage import StorageFailure
from tests.trainer.conftest import jpeg
from trainer.engine.manifests import joint_sha256
from trainer.models import TrainedModel
from trainer.registry import packages, serving
from trainer.registry.check_model import main as check

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
URL = "/trainer/models/import/"


@pytest.fixture
def exported(tiny_model: TrainedModel) -> bytes:
    """The package of a real network, whose own installation has lost it."""
    content = (tiny_model.folder / "model.onnx").read_bytes()
    tiny_model.manifest["sha256"] = hashlib.sha256(content).hexdigest()
    tiny_model.manifest["lineage"] = {"run": "Run elsewhere", "photo_set": "SUN <b>397</b>"}
    tiny_model.save()
    package = b"".join(packages.stream_package(tiny_model))
    tiny_model.delete()
    return package


def changed(package: bytes, compress: int = zipfile.ZIP_STORED, /, **files: bytes | None) -> bytes:
    """The package with other files: model_onnx=…, or None for without."""
    names = {
        "model_onnx": "model.onnx",
        "first_onnx": "first.onnx",
        "manifest_json": "manifest.json",
        "CARD_md": "CARD.md",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(out, "w", compress) as new:
        content: dict[str, bytes | None] = {name: old.read(name) for name in old.namelist()}
        content |= {names.get(key, key): value for key, value in files.items()}
        for name, value in content.items():
            if value is not None:
                new.writestr(name, value)
    return out.getvalue()


def with_manifest(package: bytes, **fields: Any) -> bytes:
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        manifest = json.loads(old.read("manifest.json")) | fields
    return changed(package, manifest_json=json.dumps(manifest).encode())


def take_in(package: bytes) -> TrainedModel:
    return packages.import_model(file=io.BytesIO(package), file_name="colours.zip", by=None)


PROMISE = {
    "kind": "overall",
    "confidence": 0.95,
    "groups": [{"hashtags": ["beach", "bar"], "threshold": 0.5, "suggestions": 100, "wrong": 3}],
}


def nothing_is_left() -> bool:
    return not TrainedModel.objects.exists() and not list(Path(settings.MODELS_DIR).glob("*.part"))


@pytest.mark.integration
def test_exported_model_is_imported_again_as_the_same_model(client_for: ClientFor, exported: bytes) -> None:
    client = client_for("admin")
    page = client.post(URL, {"package": SimpleUploadedFile("colours.zip", exported)}, follow=True)
    [model] = TrainedModel.objects.all()
    assert (model.name, model.imported_from, model.run) == ("Colours", "colours.zip", None)
    assert "checked on a synthetic photo" in page.content.decode()
    assert "SUN &lt;b&gt;397" in page.content.decode()
    assert next(iter(serving.suggest([jpeg((250, 5, 5))], model=model))).hashtag == "beach"
    again = client.post(URL, {"package": SimpleUploadedFile("other name.zip", exported)}, follow=True)
    assert "is already here" in again.content.decode()
    assert TrainedModel.objects.get() == model
    response = client.get(f"{model.get_absolute_url()}download/")
    package = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    assert response["Content-Disposition"] == f'attachment; filename="{packages.package_name(model)}"'
    with zipfile.ZipFile(io.BytesIO(package)) as there, zipfile.ZipFile(io.BytesIO(exported)) as back:
        assert there.testzip() is None
        for name in ("model.onnx", "CARD.md"):
            assert there.read(name) == back.read(name)
        assert (
            json.loads(back.read("manifest.json")).items() <= json.loads(there.read("manifest.json")).items()
        )


@pytest.mark.integration
def test_from_the_server(exported: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "colours.zip"
    file.write_bytes(changed(exported, zipfile.ZIP_DEFLATED, CARD_md=None))
    call_command("import_model", str(file))
    assert "Colours" in capsys.readouterr().out
    file.write_bytes(b"no zip")
    with pytest.raises(CommandError, match="cannot be read as a zip"):
        call_command("import_model", str(file))
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_model", str(tmp_path / "nothing"))


@pytest.mark.integration
def test_a_model_that_cannot_be_stored_leaves_nothing(
    client_for: ClientFor, exported: bytes, settings: Settings, tmp_path: Path
) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    settings.MODELS_DIR.touch()
    client = client_for("admin")
    client.raise_request_exception = False
    page = client.post(URL, {"package": SimpleUploadedFile("colours.zip", exported)})
    assert (page.status_code, "files cannot be reached" in page.content.decode()) == (503, True)
    file = tmp_path / "colours.zip"
    file.write_bytes(exported)
    with pytest.raises(CommandError, match="cannot be stored"):
        call_command("import_model", str(file))
    settings.MODELS_DIR.unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = changed(exported, zipfile.ZIP_STORED, model_onnx=bytes(2**25 + 1))  # more than the database has
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**25, hard))
    try:
        with pytest.raises(StorageFailure, match="too large"):
            take_in(big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert nothing_is_left()


def test_the_check_of_a_model_blames_the_disk(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").symlink_to("/proc/self/mem")
    assert check(tmp_path) == {"storage": "Input/output error"}


def test_a_download_says_whether_one_model_is_gone_or_the_disk(
    client_for: ClientFor, settings: Settings, tmp_path: Path
) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    (settings.MODELS_DIR / "0").mkdir(parents=True)
    model = TrainedModel.objects.create(name="x", manifest={"sha256": "0"})
    client = client_for("admin")
    client.raise_request_exception = False
    assert client.get(f"{model.get_absolute_url()}download/").status_code == 404
    settings.MODELS_DIR.rename(tmp_path / "unmounted")
    assert client.get(f"{model.get_absolute_url()}download/").status_code == 503


HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no zip": (lambda p: b"PK\x03\x04 nonsense", "cannot be read as a zip"),
    "cut short": (lambda p: p[: len(p) // 2], "cannot be read as a zip"),
    "a path out": (lambda p: changed(p, **{"../../evil.py": b"x"}), "“../../evil.py” does not belong"),
    "an absolute path": (lambda p: changed(p, **{"/etc/passwd": b"x"}), "does not belong"),
    "a folder": (lambda p: changed(p, **{"model/": b""}), "“model/” does not belong"),
    "more files": (lambda p: changed(p, **{f"{n}.onnx": b"x" for n in range(2000)}), "does not belong"),
    "no network": (lambda p: changed(p, model_onnx=None), "has no model.onnx"),
    "no manifest": (lambda p: changed(p, manifest_json=None), "has no manifest.json"),
    "a bomb": (
        lambda p: changed(p, zipfile.ZIP_DEFLATED, model_onnx=bytes(2_000_000)),
        "“model.onnx” grows more than 100-fold",
    ),
    "a huge card": (lambda p: changed(p, CARD_md=b"x" * 300_000), "“CARD.md” is 293.0\xa0KB"),
    "a card of bytes": (lambda p: changed(p, CARD_md=b"\xff\xfe"), "CARD.md is not text"),
    "another network": (lambda p: changed(p, model_onnx=b"another"), "its SHA-256 differs"),
    "no JSON": (lambda p: changed(p, manifest_json=b"{"), "manifest.json cannot be read"),
    "NaN": (lambda p: with_manifest(p, temperature=float("nan")), "NaN is not a number"),
    "deep JSON": (lambda p: changed(p, manifest_json=b"[" * 200_000), "manifest.json cannot be read"),
    "a list": (lambda p: changed(p, manifest_json=b"[]"), "not of the format"),
    "another format": (lambda p: with_manifest(p, format="scenetag-model/9"), "not of the format"),
    "labels twice": (lambda p: with_manifest(p, labels=["a", "a"]), "“labels” must be all different"),
    "labels of numbers": (lambda p: with_manifest(p, labels=[1, 2]), "“labels” must be words"),
    "thresholds of others": (lambda p: with_manifest(p, thresholds={"cat": 0.5}), "“thresholds” must be of"),
    "no temperature": (lambda p: with_manifest(p, temperature=0), "“temperature” must be above zero"),
    "an endless number": (lambda p: with_manifest(p, metrics={"accuracy": 10**400}), "number is too large"),
    "half a character": (lambda p: with_manifest(p, lineage={"run": "\ud800"}), "half a character"),
    "a NUL": (lambda p: with_manifest(p, recipe={"a\0": 1}), "a NUL"),
    "nested": (lambda p: with_manifest(p, recipe={"a": [[[[[[[[[[[1]]]]]]]]]]]}), "less nested"),
    "huge photos": (
        lambda p: with_manifest(p, input={"size": 10**6, "mean": [0] * 3, "std": [1] * 3}),
        "“input.size” must be from 16",
    ),
    "no input": (lambda p: with_manifest(p, input=None), "“input” must have"),
    "no spread": (
        lambda p: with_manifest(p, input={"size": 32, "mean": [0] * 3, "std": [0] * 3}),
        "“input.std”",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_and_nothing_is_left(exported: bytes, name: str) -> None:
    spoil, words = HOSTILE[name]
    with pytest.raises(packages.BadPackage) as error:
        take_in(spoil(exported))
    assert words in str(error.value)
    assert nothing_is_left()


def test_zip_that_lies_about_sizes(exported: bytes) -> None:
    package = changed(exported, zipfile.ZIP_DEFLATED, CARD_md=b"x" * 5000)
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        entry = old.getinfo("CARD.md")
    lie = package.replace((5000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    assert lie != package
    assert entry.file_size == 5000
    with pytest.raises(packages.BadPackage, match="cannot be read as a zip"):
        take_in(lie)
    assert nothing_is_left()


def test_encrypted_and_doubled_entries(exported: bytes) -> None:
    out = io.BytesIO(exported)
    with zipfile.ZipFile(out, "a") as package, pytest.warns(UserWarning, match="Duplicate"):
        package.writestr("CARD.md", "again")
    with pytest.raises(packages.BadPackage, match=r"contains “CARD\.md” twice"):
        take_in(out.getvalue())
    entry = zipfile.ZipInfo("model.onnx")
    entry.flag_bits |= 1
    with pytest.raises(packages.BadPackage, match="is encrypted"):
        packages._check_entries([entry])


def network(
    path: Path, *, labels: int = 3, size: int = 32, external: bool = False, name: str = "photos"
) -> None:
    """As in conftest.py, but with other inputs and outputs."""
    weights = numpy_helper.from_array(np.ones((3, labels), np.float32), "weights")
    if external:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="manifest.json")
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", [name, "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        ],
        "colours",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", labels])],
        [weights, numpy_helper.from_array(np.array([2, 3]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"labels": 4}, "one number for each label: 3"),
        ({"size": 64}, "the manifest says 3 × 32 × 32"),
        ({"external": True}, "keeps weights in other files"),
        ({"name": "pixels"}, "must take one input"),
    ],
)
def test_network_that_does_not_fit(tiny_model: TrainedModel, fields: dict[str, Any], words: str) -> None:
    assert check(tiny_model.folder) == {}
    network(tiny_model.folder / "model.onnx", **fields)
    assert words in check(tiny_model.folder)["error"]


def test_file_that_is_not_a_network_is_refused(tiny_model: TrainedModel) -> None:
    (tiny_model.folder / "model.onnx").write_bytes(b"\x08\x0a nothing")
    assert "not a usable network" in check(tiny_model.folder)["error"]


def test_network_whose_answers_are_not_probabilities_is_refused(tiny_model: TrainedModel) -> None:
    model = onnx.load(tiny_model.folder / "model.onnx")
    bad = numpy_helper.from_array(np.full((3, 3), np.nan, np.float32), "weights")
    model.graph.initializer[0].CopyFrom(bad)
    onnx.save(model, tiny_model.folder / "model.onnx")
    assert "does not give a probability" in check(tiny_model.folder)["error"]


@pytest.mark.integration
def test_check_runs_apart_and_its_failure_leaves_nothing(exported: bytes, tmp_path: Path) -> None:
    network(tmp_path / "other.onnx", labels=4)
    content = (tmp_path / "other.onnx").read_bytes()
    package = with_manifest(exported, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(packages.BadPackage, match="for each label: 3"):
        take_in(changed(package, model_onnx=content))
    assert nothing_is_left()


def test_failure_at_the_last_moment_leaves_no_row(
    exported: bytes, tiny_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_check", lambda folder: None)  # takes a second
    last = max(int(folder.name) for folder in Path(settings.MODELS_DIR).iterdir())
    (Path(settings.MODELS_DIR) / str(last + 1)).write_text("a file where its folder should be")
    with pytest.raises(NotADirectoryError):
        take_in(exported)
    assert nothing_is_left()


def test_refusal_is_shown_on_the_page(client_for: ClientFor, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_for("admin")
    response = client.post(URL, {"package": SimpleUploadedFile("a.zip", b"no zip")})
    assert response.status_code == 422
    assert "cannot be read as a zip" in response.content.decode()
    assert "Choose a file first" in client.post(URL).content.decode()
    monkeypatch.setattr(settings, "MAX_MODEL_BYTES", 3)
    response = client.post(URL, {"package": SimpleUploadedFile("a.zip", b"no zip")})
    assert "the limit is 3" in response.content.decode()


def test_model_that_is_not_exported_or_is_lost_cannot_be_downloaded(
    client_for: ClientFor, tiny_model: TrainedModel
) -> None:
    client, url = client_for("viewer"), f"{tiny_model.get_absolute_url()}download/"
    assert client.get(url).status_code == 200
    (tiny_model.folder / "model.onnx").unlink()
    assert client.get(url).status_code == 404
    TrainedModel.objects.update(manifest={})
    assert client.get(url).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "network", "nobody"])
def test_others_may_not(client_for: ClientFor, exported: bytes, role: str) -> None:
    client = client_for(role)
    assert client.get(URL).status_code == 403
    assert client.post(URL, {"package": SimpleUploadedFile("a.zip", exported)}).status_code == 403
    assert nothing_is_left()


def test_stranger(client: Client, exported: bytes) -> None:
    response = client.post(URL, {"package": SimpleUploadedFile("a.zip", exported)})
    assert response["Location"].startswith("/login/")
    assert nothing_is_left()


@pytest.mark.integration
def test_a_promise_travels_with_its_model(client_for: ClientFor, exported: bytes) -> None:
    model = take_in(with_manifest(exported, promise=PROMISE))
    assert (model.promise, model.manifest["promise"]) == ("overall", PROMISE)
    page = client_for("viewer").get(model.get_absolute_url()).content.decode()
    assert "At most 1 in 10 suggestions is wrong, 95\u00a0% sure" in page
    assert take_in(with_manifest(exported, promise=PROMISE)) == model
    assert take_in(exported) != model  # the same thresholds without a promise


@pytest.mark.integration
def test_a_promise_that_leaves_out_what_may_be_left_out_is_shown(
    client_for: ClientFor, exported: bytes
) -> None:
    """Without a threshold nothing is promised; the target precision is then the usual one."""
    package = with_manifest(exported, promise=PROMISE | {"groups": [{"hashtags": ["beach"]}]})
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        manifest = json.loads(old.read("manifest.json"))
    del manifest["target_precision"]
    model = take_in(changed(package, manifest_json=json.dumps(manifest).encode()))
    page = client_for("viewer").get(model.get_absolute_url()).content.decode()
    assert "that at most 1 in 10 suggestions would be wrong" in page


@pytest.mark.parametrize(
    "promise",
    [
        "each",
        PROMISE | {"kind": "always"},
        PROMISE | {"kind": "none"},
        PROMISE | {"confidence": "sure"},
        PROMISE | {"groups": [{"hashtags": ["<b>"], "threshold": 0.5}]},
        PROMISE | {"groups": [{"hashtags": ["bar"], "threshold": "low"}]},
    ],
)
def test_a_promise_that_pages_cannot_show_is_refused(exported: bytes, promise: Any) -> None:
    with pytest.raises(packages.BadPackage, match="promise"):
        take_in(with_manifest(exported, promise=promise))
    assert nothing_is_left()


def telling_scenes(path: Path, scenes: int = 2) -> None:
    """The network of a file, with a second output of one number per scene class."""
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((3, scenes), np.float32), "to_scenes"))
    model.graph.node.append(helper.make_node("MatMul", ["mean", "to_scenes"], ["scenes"]))
    model.graph.output.append(helper.make_tensor_value_info("scenes", TensorProto.FLOAT, ["n", scenes]))
    onnx.save(model, path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.integration
def test_a_model_that_tells_scenes_tells_them_elsewhere(tiny_model: TrainedModel) -> None:
    file = tiny_model.folder / "model.onnx"
    telling_scenes(file)
    tiny_model.manifest |= {"sha256": sha256(file), "scenes": ["b/beach", "b/bar"], "milliseconds": 1.5}
    package = b"".join(packages.stream_package(tiny_model))
    tiny_model.delete()
    model = take_in(package)
    assert (model.manifest["scenes"], model.manifest["milliseconds"]) == (["b/beach", "b/bar"], 1.5)
    assert next(iter(serving.suggest([jpeg((250, 5, 5))], model=model))).scene == ("b/beach", 0.5)


@pytest.fixture
def cascade(tiny_model: TrainedModel) -> bytes:
    """The package of two networks as one, whose own installation has lost it. The first never suggests."""
    fast = tiny_model.folder / "first.onnx"
    shutil.copy(tiny_model.folder / "model.onnx", fast)
    telling_scenes(fast)
    limits = {"temperature": 1.0, "thresholds": {"beach": 2.0}, "silent_below": 0.0, "sha256": sha256(fast)}
    tiny_model.manifest["cascade"] = limits | {
        "input": tiny_model.manifest["input"],
        "scenes": ["b/beach", "b/bar"],
    }
    tiny_model.manifest["sha256"] = joint_sha256(sha256(tiny_model.folder / "model.onnx"), sha256(fast))
    package = b"".join(packages.stream_package(tiny_model))
    tiny_model.delete()
    return package


@pytest.mark.integration
def test_a_cascade_travels_whole(client_for: ClientFor, cascade: bytes) -> None:
    model = take_in(cascade)
    assert take_in(cascade) == model
    assert serving.suggester(model=model).first
    assert next(iter(serving.suggest([jpeg((250, 5, 5))], model=model))).hashtag == "beach"
    (model.folder / "first.onnx").unlink()
    assert client_for("viewer").get(f"{model.get_absolute_url()}download/").status_code == 404
    assert take_in(cascade) != model  # whose files are lost


SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "half of it": (lambda p: changed(p, first_onnx=None), "has no first.onnx"),
    "another fast one": (lambda p: changed(p, first_onnx=b"x"), "first.onnx is not the file"),
    "another accurate one": (lambda p: changed(p, model_onnx=b"x"), "model.onnx is not the file"),
    "no cascade": (lambda p: with_manifest(p, cascade=None), "“cascade” must be an object"),
    "no limit": (lambda p: with_cascade(p, silent_below="low"), "“silent_below” must be a number"),
    "other hashtags": (lambda p: with_cascade(p, thresholds={"cat": 1}), "“thresholds” must be of"),
    "no input": (lambda p: with_cascade(p, input=None), "“input” must have"),
    "no scenes": (lambda p: with_cascade(p, scenes=[7]), "“scenes” must be at most"),
    "too few scenes": (lambda p: with_cascade(p, scenes=[]), "first.onnx gives 2 outputs"),
}


def with_cascade(package: bytes, **fields: Any) -> bytes:
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        facts = json.loads(old.read("manifest.json"))["cascade"]
    return with_manifest(package, cascade=facts | fields)


@pytest.mark.integration
@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_cascade_is_refused(cascade: bytes, name: str) -> None:
    spoil, words = SPOILED[name]
    with pytest.raises(packages.BadPackage) as error:
        take_in(spoil(cascade))
    assert words in str(error.value)
    assert nothing_is_left()


def test_a_second_network_without_a_cascade_is_refused(exported: bytes) -> None:
    with pytest.raises(packages.BadPackage, match="which is no cascade"):
        take_in(changed(exported, first_onnx=b"x"))
    assert nothing_is_left()


def test_time_that_is_no_number_is_refused(exported: bytes) -> None:
    with pytest.raises(packages.BadPackage, match="milliseconds"):
        take_in(with_manifest(exported, milliseconds="soon"))
    assert nothing_is_left()


CHECKS = {"hashtags": {"beach": {"slope": 1.0, "shift": 0.0, "does_not_fit_below": 0.1, "fits_from": 0.8}}}


def test_checks_travel_with_their_model(exported: bytes) -> None:
    model = take_in(with_manifest(exported, checks=CHECKS))
    assert model.manifest["checks"] == CHECKS
    assert take_in(exported) != model  # the same network without checks


@pytest.mark.parametrize(
    "checks",
    [[], {}, {"hashtags": {"snow": CHECKS["hashtags"]["beach"]}}, {"hashtags": {"beach": {"slope": 1}}}],
)
def test_checks_that_cannot_be_used_are_refused(exported: bytes, checks: Any) -> None:
    with pytest.raises(packages.BadPackage, match="checks"):
        take_in(with_manifest(exported, checks=checks))
