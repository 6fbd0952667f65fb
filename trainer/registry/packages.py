"""Models as files: a zip of model.onnx, manifest.json and CARD.md, from one installation to another. A
cascade has its fast network, too, as first.onnx; a model that can be relabelled has scenes.npz.

An imported file is not trusted: its sizes, names, hash and network are checked before a row is created.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import math
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from formats.classes import OTHER
from formats.json_text import parse_json, to_json
from formats.storage import StorageFailure, for_own_files, raise_if_of_storage
from formats.table import Unreadable
from trainer.engine.evaluation.checks import read_checks
from trainer.engine.evaluation.promise import KINDS as PROMISES
from trainer.engine.evaluation.scenes import SCENES
from trainer.engine.manifests import FORMAT, joint_sha256
from trainer.engine.preprocess import Input
from trainer.models import TrainedModel
from trainer.registry.files import at_hand, publish

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

ONNX, FIRST, MANIFEST, CARD = "model.onnx", "first.onnx", "manifest.json", "CARD.md"
TEXT_LIMITS = {MANIFEST: 2 * 2**20, CARD: 256 * 2**10}  # bytes
MAX_EXPANSION = 100  # weights hardly compress: a file that grows more than this is a zip bomb
MOST_LABELS = 1000
MOST_SCENES = 10_000
MOST_LINEAGE = 10_000  # characters
CHECK_SECONDS = 25  # a web server gives a request 30
CHUNK = 2**20
# The keys of a manifest that an export and an import keep.
KEYS = {
    *("format", "labels", "temperature", "thresholds", "target_precision", "held_out", "metrics"),
    *("promise", "recipe", "input", "max_abs_difference", "checked_photos", "sha256", "created", "lineage"),
    *("scenes", "scene_labels", "scenes_sha256", "cascade", "int8", "milliseconds", "checks"),
}
CASCADE_KEYS = {"temperature", "thresholds", "silent_below", "input", "scenes", "sha256"}


class BadPackage(Exception):
    """The file cannot be imported as a model; the message says why. Nothing was kept."""


# --- out --------------------------------------------------------------------------------------


class _Pipe(io.RawIOBase):
    """Buffers what ZipFile writes until it is taken out, so that the file is never in memory as a whole."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.buffer += data
        return len(data)

    def take(self) -> bytes:
        content = bytes(self.buffer)
        self.buffer.clear()
        return content


def stream_package(model: TrainedModel) -> Iterator[bytes]:
    """The zip of a ready model, in pieces. Raises at once FileNotFoundError if a network is missing, and
    StorageFailure if all models are.
    """
    networks = ExitStack()
    try:
        with at_hand(model) as folder:
            files = [networks.enter_context((folder / name).open("rb")) for name in model.file_names]
    except OSError as error:
        networks.close()
        raise_if_of_storage(error, Path(settings.MODELS_DIR))
        raise
    return _pieces(model, networks, files)


def _pieces(model: TrainedModel, networks: ExitStack, files: Sequence[IO[bytes]]) -> Iterator[bytes]:
    pipe = _Pipe()
    manifest = {key: value for key, value in model.manifest.items() if key in KEYS}
    manifest["lineage"] = {"model": model.name, **manifest.get("lineage", {})}
    with networks, zipfile.ZipFile(pipe, "w") as package:
        package.writestr(MANIFEST, to_json(manifest, indent=1))
        package.writestr(CARD, model.card)
        at = model.created_at
        when = (at.year, at.month, at.day, at.hour, at.minute, at.second)
        for name, file in zip(model.file_names, files, strict=True):
            with package.open(zipfile.ZipInfo(name, when), "w", force_zip64=True) as entry:
                while piece := file.read(CHUNK):
                    entry.write(piece)
                    yield pipe.take()
        yield pipe.take()
    yield pipe.take()


def package_name(model: TrainedModel) -> str:
    stem = re.sub(r"[^A-Za-z0-9]+", "-", model.name).strip("-").lower() or "model"
    return f"{stem[:60]}-{str(model.manifest.get('sha256', ''))[:8]}.zip"


# --- in ---------------------------------------------------------------------------------------


def import_model(*, file: IO[bytes], file_name: str, by: AbstractBaseUser | None) -> TrainedModel:
    """Import the model in a package. If it was imported before or exported here, that model is returned.

    Raises BadPackage, and StorageFailure. After any failure, nothing of the package is left.
    """
    root = Path(settings.MODELS_DIR)
    with for_own_files():
        root.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=root, prefix="import-", suffix=".part"))
    try:
        part.chmod(0o755)
        _unpack(file, part)
        manifest = read_manifest((part / MANIFEST).read_bytes())
        card = _text(part / CARD) if (part / CARD).exists() else ""
        check_hashes(part, manifest)
        if same_model := _find_same(manifest):
            return same_model
        # Written before the check, so that the check covers exactly the files that will be used.
        with for_own_files():
            (part / MANIFEST).write_text(to_json(manifest, indent=1))
        _check(part)
        return _keep(part, manifest, card, file_name, by)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack(file: IO[bytes], part: Path) -> None:
    try:
        with zipfile.ZipFile(file) as package:
            entries = package.infolist()
            _check_entries(entries)
            for entry in entries:
                with package.open(entry) as source, (part / entry.filename).open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK)  # ends where the entry said, or at its CRC
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OverflowError,
        OSError,  # of a damaged bzip2 stream
        zlib.error,
        lzma.LZMAError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise StorageFailure(error) from error
        raise BadPackage(
            _("The file cannot be read as a zip: %(reason)s") % {"reason": _sentence(error)}
        ) from error


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    limits = {**dict.fromkeys((ONNX, FIRST, SCENES), settings.MAX_MODEL_BYTES), **TEXT_LIMITS}
    names = [entry.filename for entry in entries[:10]]
    for entry in entries[:10]:
        name, limit = entry.filename, limits.get(entry.filename)
        if limit is None:
            raise BadPackage(
                _("“%(name)s” does not belong in a model, which has only %(names)s.")
                % {"name": name[:100], "names": ", ".join(limits)}
            )
        if names.count(name) > 1:
            raise BadPackage(_("The file contains “%(name)s” twice.") % {"name": name})
        if entry.flag_bits & 1:
            raise BadPackage(_("“%(name)s” is encrypted.") % {"name": name})
        if entry.file_size > limit:
            raise BadPackage(
                _("“%(name)s” is %(size)s; the limit is %(limit)s.")
                % {"name": name, "size": filesizeformat(entry.file_size), "limit": filesizeformat(limit)}
            )
        if entry.file_size > MAX_EXPANSION * max(entry.compress_size, 1024):
            raise BadPackage(
                _("“%(name)s” grows more than %(n)s-fold when unpacked.") % {"name": name, "n": MAX_EXPANSION}
            )
    missing = sorted({ONNX, MANIFEST} - set(names))
    if len(missing) == 2:
        words = _("The file has no %(first)s and no %(second)s: was it exported by this program?")
        raise BadPackage(words % {"first": missing[0], "second": missing[1]})
    if missing:
        words = _("The file has no %(name)s: was it exported by this program?")
        raise BadPackage(words % {"name": missing[0]})


def read_manifest(content: bytes) -> dict[str, Any]:
    """The KEYS of a manifest, with their values checked. Raises BadPackage, which names the wrong one."""
    try:
        document = parse_json(content)
    except Unreadable as error:
        raise BadPackage(f"manifest.json cannot be read: {_sentence(error)}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadPackage(f"manifest.json is not of the format {FORMAT}.")
    manifest = {key: value for key, value in document.items() if key in KEYS}
    _check_values(manifest)
    labels: Any = manifest.get("labels")
    _require(
        isinstance(labels, list) and 2 <= len(labels) <= MOST_LABELS, "labels", f"2 to {MOST_LABELS} words"
    )
    _require(
        all(isinstance(x, str) and 0 < len(x) <= 50 for x in labels), "labels", "words of 50 letters at most"
    )
    _require(len(set(labels)) == len(labels), "labels", "all different")
    _check_judging(manifest, labels)
    target = manifest.setdefault("target_precision", 0.9)
    _require(_is_number(target) and 0 < target < 1, "target_precision", "between 0 and 1")
    if "promise" in manifest:
        _check_promise(manifest["promise"], labels)
    if "checks" in manifest:
        _check_checks(manifest["checks"], labels)
    for key in ("metrics", "held_out", "recipe", "lineage"):
        _require(isinstance(manifest.setdefault(key, {}), dict), key, "an object")
    _require(isinstance(manifest.get("int8", {}), dict), "int8", "an object")
    _require(_is_number(manifest.get("milliseconds", 0)), "milliseconds", "a number")
    _require(len(json.dumps(manifest["lineage"])) < MOST_LINEAGE, "lineage", "shorter")
    _check_network(manifest)
    _check_relabelling(manifest)
    if "cascade" in manifest:
        cascade = manifest["cascade"]
        _require(isinstance(cascade, dict), "cascade", "an object")
        manifest["cascade"] = {key: value for key, value in cascade.items() if key in CASCADE_KEYS}
        _require(_is_number(cascade.get("silent_below")), "silent_below", "a number")
        _check_judging(cascade, labels)
        _check_network(cascade)
    return manifest


def _check_judging(facts: dict[str, Any], labels: list[str]) -> None:
    """Of a model or of the fast network of a cascade: how sure it must be to suggest, and its file's hash."""
    thresholds: Any = facts.get("thresholds")
    _require(isinstance(thresholds, dict), "thresholds", "a number for each hashtag")
    _require(
        all(label in labels and _is_number(x) for label, x in thresholds.items()),
        "thresholds",
        "of its labels",
    )
    _require(_is_number(facts.get("temperature")) and facts["temperature"] > 0, "temperature", "above zero")
    _require(re.fullmatch(r"[0-9a-f]{64}", str(facts.get("sha256"))), "sha256", "64 hexadecimal digits")


def _check_network(facts: dict[str, Any]) -> None:
    """What a network takes, and the scene classes that it tells, if it tells any."""
    _check_input(facts.get("input"))
    scenes = facts.get("scenes", [])
    rule = f"at most {MOST_SCENES} words"
    _require(isinstance(scenes, list) and len(scenes) <= MOST_SCENES, "scenes", rule)
    _require(all(isinstance(scene, str) and 0 < len(scene) <= 200 for scene in scenes), "scenes", rule)


def _check_relabelling(manifest: dict[str, Any]) -> None:
    """What lets a model be relabelled, if it can be."""
    names: Any = manifest.get("scene_labels", [])
    rule = "one of its labels, or other, for each scene class"
    if "scene_labels" in manifest:
        scenes, allowed = manifest.get("scenes", []), {*manifest["labels"], OTHER}
        _require(isinstance(names, list) and len(names) == len(scenes), "scene_labels", rule)
        _require(all(isinstance(name, str) and name in allowed for name in names), "scene_labels", rule)
    digest = manifest.get("scenes_sha256", "0" * 64)
    _require(re.fullmatch(r"[0-9a-f]{64}", str(digest)), "scenes_sha256", "64 hexadecimal digits")


def _check_promise(promise: Any, labels: list[str]) -> None:
    rule = "a kind, a confidence, and groups of labels"
    is_made = isinstance(promise, dict) and promise.get("kind") in PROMISES and promise["kind"] != "none"
    _require(is_made, "promise", rule)
    confidence, groups = promise.get("confidence"), promise.get("groups")
    _require(_is_number(confidence) and 0 < confidence < 1 and isinstance(groups, list), "promise", rule)
    for group in groups:
        names = group.get("hashtags") if isinstance(group, dict) else None
        _require(isinstance(names, list) and all(name in labels for name in names), "promise", rule)
        threshold = group.setdefault("threshold", None)
        _require(threshold is None or _is_number(threshold), "promise", rule)
    if "base" in promise:
        _check_base(promise["base"])


def _check_base(base: Any) -> None:
    """What people's votes a promise rests on."""
    rule = "a base with a campaign, photos, people, and the day until which they judged"
    _require(isinstance(base, dict), "promise", rule)
    name, until = base.get("campaign"), base.get("until")
    _require(isinstance(name, str) and 0 < len(name) <= 100 and "\0" not in name, "promise", rule)
    counts = (base.get("photos"), base.get("people"))
    _require(all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts), "promise", rule)
    is_day = until == "" or (isinstance(until, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", until))
    try:
        _require(is_day and (until == "" or date.fromisoformat(until)), "promise", rule)
    except ValueError:
        _require(False, "promise", rule)


def _check_checks(facts: Any, labels: list[str]) -> None:
    rule = "a slope, a shift and two limits for each hashtag"
    try:
        hashtags = set(read_checks(facts))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadPackage(f"manifest.json: “checks” must be {rule}.") from error
    _require(hashtags <= set(labels), "checks", f"{rule} among its labels")


def _sentence(words: object) -> str:
    return f"{str(words).strip().rstrip('.')[:400]}."


def _require(is_right: object, name: str, rule: str) -> None:
    if not is_right:
        raise BadPackage(f"manifest.json: “{name}” must be {rule}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _check_values(value: object, depth: int = 0) -> None:
    """Require what pages can show: numbers that are not too large, and little depth."""
    _require(depth < 10, "manifest", "less nested")
    if isinstance(value, dict):
        for inner in value.values():
            _check_values(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner, depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _require(_is_number(value), str(value)[:40], "a smaller number")


def _check_input(spec: Any) -> None:
    try:
        model_input = Input.from_dict(spec)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadPackage("manifest.json: “input” must have a size, mean and std of three numbers.") from error
    numbers = [*model_input.mean, *model_input.std]
    _require(16 <= model_input.size <= 1024, "input.size", "from 16 to 1024 pixels")
    _require(
        all(map(math.isfinite, numbers)) and all(model_input.std), "input.std", "of numbers other than zero"
    )
    _require(model_input.resize in ("squeeze", "crop"), "input.resize", "squeeze or crop")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\0", "")
    except UnicodeDecodeError as error:
        raise BadPackage(_("%(name)s is not text.") % {"name": path.name}) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_hashes(part: Path, manifest: dict[str, Any]) -> None:
    """Raises BadPackage if a file is not the one that the manifest describes, or one is too many."""
    hashes = {ONNX: _sha256(part / ONNX)}
    expected = {ONNX: manifest["sha256"]}
    if cascade := manifest.get("cascade"):
        if not (part / FIRST).exists():
            raise BadPackage(
                _("The file has no %(name)s, the fast network of this cascade.") % {"name": FIRST}
            )
        hashes = {FIRST: _sha256(part / FIRST), ONNX: joint_sha256(hashes[ONNX], cascade["sha256"])}
        expected[FIRST] = cascade["sha256"]
    elif (part / FIRST).exists():
        raise BadPackage(
            _("“%(name)s” does not belong in this model, which is no cascade.") % {"name": FIRST}
        )
    if scenes := manifest.get("scenes_sha256"):
        if not (part / SCENES).exists():
            raise BadPackage(_("The file has no %(name)s, which manifest.json describes.") % {"name": SCENES})
        hashes[SCENES], expected[SCENES] = _sha256(part / SCENES), scenes
    elif (part / SCENES).exists():
        raise BadPackage(
            _("“%(name)s” does not belong in this model, which cannot be relabelled.") % {"name": SCENES}
        )
    for name, digest in hashes.items():
        if digest != expected[name]:
            raise BadPackage(
                _("%(name)s is not the file that manifest.json describes: its SHA-256 differs.")
                % {"name": name}
            )


def _check(folder: Path) -> None:
    argv = [sys.executable, "-m", "trainer.registry.check_model", str(folder)]
    try:
        result = subprocess.run(
            argv, capture_output=True, text=True, cwd=settings.BASE_DIR, timeout=CHECK_SECONDS, check=False
        )
        answer = json.loads(result.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise BadPackage(
            _("The model took more than %(n)s seconds for a photo.") % {"n": CHECK_SECONDS}
        ) from error
    except (ValueError, IndexError) as error:
        raise BadPackage(
            _("The program that checks models crashed: model.onnx is damaged or too large.")
        ) from error
    if answer.get("storage"):
        raise StorageFailure(answer["storage"])
    if answer.get("error"):
        raise BadPackage(_sentence(answer["error"]))


def _find_same(manifest: dict[str, Any]) -> TrainedModel | None:
    """The model with the same networks and the same thresholds, unless its files are lost."""
    keys = ("labels", "thresholds", "temperature", "input", "promise", "cascade", "checks")
    for model in TrainedModel.objects.filter(manifest__sha256=manifest["sha256"]):
        if all(model.manifest.get(key) == manifest.get(key) for key in keys) and model.has_files:
            return model
    return None


def _keep(
    part: Path, manifest: dict[str, Any], card: str, file_name: str, by: AbstractBaseUser | None
) -> TrainedModel:
    lineage = manifest["lineage"]
    name = str(lineage.get("model") or lineage.get("run") or Path(file_name).stem).strip()
    folder: Path | None = None
    try:
        with transaction.atomic():
            list(TrainedModel.objects.select_for_update().values_list("pk"))  # imports wait for each other
            if same_model := _find_same(manifest):
                return same_model
            model = TrainedModel.objects.create(
                name=name[:100] or "Imported model",
                imported_from=Path(file_name).name[:200] or "a file",
                target_precision=manifest["target_precision"],
                promise=manifest.get("promise", {}).get("kind", "none"),
                manifest=manifest,
                card=card,
                created_by_id=by.pk if by else None,
            )
            shutil.rmtree(model.folder, ignore_errors=True)
            part.rename(model.folder)
            folder = model.folder
            publish(model)
    except BaseException:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return model
