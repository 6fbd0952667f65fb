"""Train, predict, evaluate and export without the web application: docs/engine.md.

In a terminal there is a progress bar; otherwise, or with --json, events are JSON lines on standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formats import spans
from formats.json_text import NotFinite, to_json
from formats.storage import StorageFailure, raise_if_of_storage, replacing
from formats.texts import Text, text_of
from trainer.engine import launch
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import EngineError, NotANumberError, PeerLost, RecipeError
from trainer.engine.evaluation.promise import KINDS
from trainer.engine.events import Stopped, StopRequest, emit, listen, write
from trainer.engine.looks import look
from trainer.engine.parent import end_with_parent
from trainer.engine.photos.folder import read_meanings, write_manifest
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe

STOPPED = 143  # 128 + SIGTERM, what a shell reports for a stopped program


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 a reported error, 2 wrong arguments, 143 stopped and saved."""
    arguments = _parser().parse_args(argv)
    if _shows_progress(arguments):
        from trainer.engine.terminal import Screen

        listen(Screen())
    try:
        with spans.span(f"engine {arguments.command}", parent=os.environ.get(spans.PARENT, "")) as span:
            status = _run(arguments)
            span.set_attributes({"process.exit.code": status})
            return status
    finally:
        listen(None)


def _shows_progress(arguments: argparse.Namespace) -> bool:
    return arguments.progress or (not arguments.json and sys.stdout.isatty() and sys.stderr.isatty())


def _run(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.run(arguments))
    except Stopped:
        emit("stopped")
        return STOPPED
    except EngineError as error:
        emit("error", kind=error.kind, message=error.message, hint=error.hint)
    except NotFinite as error:
        emit("error", kind=NotANumberError.kind, message=text_of(error), hint=_NUMBER_HINT)
    except MemoryError:
        emit("error", kind="memory", message=Text("the machine ran out of memory"), hint=_MEMORY_HINT)
    except (StorageFailure, OSError) as error:
        # A file that is at fault itself has been reported by whoever opened it.
        failure = error if isinstance(error, StorageFailure) else StorageFailure(error)
        emit("error", kind="disk", message=text_of(failure), hint=_DISK_HINT)
    except RuntimeError as error:
        if not any(words in str(error) for words in _MEMORY_WORDS):
            raise
        emit("error", kind="memory", message=str(error).split("\n")[0], hint=_MEMORY_HINT)
    return 1


_NUMBER_HINT = Text("Nothing was written. Start another run, with a lower learning rate.")
_DISK_HINT = Text("Is the disk full, read-only or away? Once it is mended, the same command goes on.")
_MEMORY_WORDS = ("out of memory", "can't allocate")
_MEMORY_HINT = Text("Choose a smaller batch size or smaller photos.")


def _train(arguments: argparse.Namespace) -> int:
    stop = StopRequest().listen()  # before torch is imported: that takes seconds
    end_with_parent()
    file = _job_file(arguments)
    recipe = Recipe.from_dict(_read_object(file).get("recipe", {}))
    if launch.rank():
        listen(_tell_errors)
    elif recipe.world_size > 1 and launch.rank() is None:
        flag = "--progress" if _shows_progress(arguments) else "--json"
        return launch.launch(file, recipe, flag=flag, stop=stop)
    from trainer.engine.training.run import RunJob, train

    try:
        report = train(RunJob.read(file), stop)
    except PeerLost:
        return launch.wait_to_be_ended(stop)
    emit("done", accuracy=report["accuracy"], balanced_accuracy=report["balanced_accuracy"])
    return 0


def _tell_errors(event: str, fields: dict[str, Any]) -> None:
    """All other events are told by the first process."""
    if event == "error":
        write(event, fields)


def _job_file(arguments: argparse.Namespace) -> Path:
    """The given job file, or a new one from the recipe and the options, in the run's folder."""
    settings = _read_object(arguments.recipe) if arguments.recipe else {}
    if "recipe" in settings:
        if arguments.preset or arguments.photos or arguments.out or arguments.set:
            raise RecipeError("job", Text("a job file is complete: give no other options with it"))
        return Path(arguments.recipe)
    if not arguments.photos or not arguments.out:
        raise RecipeError(
            "photos" if not arguments.photos else "out", Text("is missing: give it as an option")
        )
    recipe = Recipe.from_dict(_settings(arguments, settings))
    out: Path = arguments.out
    manifest: Path = arguments.photos
    if manifest.is_dir():
        manifest = out / "manifest.csv"
        write_manifest(arguments.photos, arguments.labels, manifest)
    elif arguments.labels:
        raise RecipeError("labels", Text("a manifest has its own labels: --labels is for a folder"))
    job = {"recipe": recipe.as_dict(), "photos": str(manifest), "out": str(out)}
    job["cache"] = str(arguments.cache or out.parent / "features")
    if arguments.partitions:
        job["partitions"] = str(arguments.partitions)
    file = out / "job.json"
    with replacing(file) as opened:
        opened.write(to_json(job, indent=1))
    return file


def _settings(arguments: argparse.Namespace, settings: dict[str, Any]) -> dict[str, Any]:
    if arguments.preset:
        if arguments.preset not in PRESETS:
            raise RecipeError(
                "preset", Text("there is no %(preset)s", preset=arguments.preset), hint=Text("See: presets")
            )
        settings = PRESETS[arguments.preset].recipe.as_dict() | settings
    for text in arguments.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(name, Text("give it as --set name=value"))
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value  # a word needs no quotation marks
    return settings


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise_if_of_storage(error)
        raise RecipeError(
            "recipe", Text("%(file)s cannot be read: %(error)s", file=path.name, error=error)
        ) from error
    if not isinstance(content, dict):
        raise RecipeError("recipe", Text("%(file)s must hold an object of settings", file=path.name))
    return content


def _presets(arguments: argparse.Namespace) -> int:
    for preset in PRESETS.values():
        figures = ""
        if preset.thesis:
            figures = f"  (thesis: {preset.thesis.accuracy:.3f} / {preset.thesis.balanced_accuracy:.3f})"
        print(f"{preset.name:<24}{preset.title}{figures}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from trainer.engine.serving.export import export

    options = {"target_precision": arguments.target_precision, "kind": arguments.promise}
    manifest = export(arguments.run_dir, arguments.model_dir, numbers=arguments.numbers, **options)
    emit("done", max_abs_difference=manifest["max_abs_difference"], held_out=manifest["held_out"])
    return 0


def _pack(arguments: argparse.Namespace) -> int:
    from trainer.engine.serving.assemble import pack

    options = {"target_precision": arguments.target_precision, "kind": arguments.promise}
    facts = pack(arguments.run_dir, arguments.starter_dir, **options)
    emit("done", metrics=facts["metrics"], held_out=facts["held_out"])
    return 0


def _assemble(arguments: argparse.Namespace) -> int:
    from trainer.engine.serving.assemble import assemble

    manifest = assemble(arguments.starter_dir, arguments.model_dir)
    emit("done", max_abs_difference=manifest["max_abs_difference"])
    return 0


def _limits(arguments: argparse.Namespace) -> int:
    from trainer.engine.evaluation.report import write_json
    from trainer.engine.serving.cascade import choose

    runs = arguments.fast_run, arguments.accurate_run
    limits = choose(*runs, target=arguments.target_precision, cost=arguments.cost)
    write_json(arguments.limits, limits)
    emit("done", held_out=limits["held_out"])
    return 0


def _join(arguments: argparse.Namespace) -> int:
    from trainer.engine.serving.cascade import join, read_limits

    limits = read_limits(arguments.limits)
    manifest = join(arguments.fast_model, arguments.accurate_model, limits, arguments.model_dir)
    emit("done", held_out=manifest["held_out"])
    return 0


def _relabel(arguments: argparse.Namespace) -> int:
    from trainer.engine.serving.relabel import read_least, relabel

    labels = {key: meaning.label for key, meaning in read_meanings(arguments.labels).items()}
    least = read_least(arguments.least) if arguments.least else {}
    manifest = relabel(arguments.old_model, labels, arguments.model_dir, least=least)
    emit("done", held_out=manifest["held_out"], changed=manifest["relabelled"]["changed"])
    return 0


def _look(arguments: argparse.Namespace) -> int:
    stop = StopRequest().listen()
    end_with_parent()
    file: Path = arguments.file
    manifest: Path = arguments.photos
    if manifest.is_dir():
        manifest = file.with_suffix(".csv")
        write_manifest(arguments.photos, None, manifest)
    looks = look(manifest, file, backbone=arguments.backbone, cache=arguments.cache, stop=stop)
    emit("done", classes=len(looks.classes), photos=int(looks.photos.sum()))
    return 0


def _features(arguments: argparse.Namespace) -> int:
    end_with_parent()
    from trainer.engine.feature_parts import answer_requests

    answer_requests(sys.stdin, cache=arguments.cache, threads=arguments.threads, stop=StopRequest())
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from trainer.engine.serving.predict import Suggester

    for suggestion in Suggester(arguments.model_dir, threads=None).suggest(arguments.photos):
        print(to_json(suggestion.as_dict()), flush=True)
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from trainer.engine.serving.evaluate import evaluate

    print(to_json(evaluate(arguments.model_dir, arguments.manifest)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.engine", description=__doc__)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON lines even in a terminal")
    output.add_argument("--progress", action="store_true", help="show a progress bar even without a terminal")
    commands = parser.add_subparsers(required=True, dest="command")
    command = commands.add_parser("presets", help="list the presets, with the thesis's figures")
    command.set_defaults(run=_presets)
    train = commands.add_parser("train", help="train by a recipe, or continue a stopped run")
    train.add_argument("recipe", type=Path, nargs="?", help="JSON: a recipe's settings, or a whole job")
    train.add_argument("--preset", help="a preset's name; the file and --set change its settings")
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")
    train.add_argument("--photos", type=Path, help="a manifest.csv, or a folder with one folder per class")
    train.add_argument("--labels", type=Path, help="CSV of classes and hashtags, for a folder")
    train.add_argument("--partitions", type=Path, help="folder with SUN397's Training_01.txt …")
    train.add_argument("--out", type=Path, help="the run's folder: checkpoints, report, TensorBoard logs")
    train.add_argument("--cache", type=Path, help="where features are kept (default: beside the run)")
    train.set_defaults(run=_train)
    for name, run, target, text in (
        ("export", _export, "model_dir", "make a model folder from a finished run"),
        ("pack", _pack, "starter_dir", "make a small folder from a frozen run, without its backbone"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("run_dir", type=Path)
        command.add_argument(target, type=Path)
        command.add_argument("--target-precision", type=float, default=0.9)
        command.add_argument(
            "--promise", choices=KINDS, default="none", help="the target is kept, 95 %% sure"
        )
        if run is _export:
            command.add_argument(
                "--numbers",
                choices=("float32", "int8"),
                default="",
                help="of the network's matrices; without, what suits the backbone",
            )
        command.set_defaults(run=run)
    command = commands.add_parser("assemble", help="make a model folder from a packed one")
    command.add_argument("starter_dir", type=Path)
    command.add_argument("model_dir", type=Path)
    command.set_defaults(run=_assemble)
    command = commands.add_parser(
        "limits", help="decide when a fast run's model answers for an accurate one's"
    )
    command.add_argument("fast_run", type=Path)
    command.add_argument("accurate_run", type=Path)
    command.add_argument("limits", type=Path, help="the file to write")
    command.add_argument("--target-precision", type=float, default=0.9)
    command.add_argument("--cost", type=float, default=0.15, help="a fast answer's; an accurate one's is 1")
    command.set_defaults(run=_limits)
    command = commands.add_parser("join", help="make one model of a fast and an accurate one, by such limits")
    command.add_argument("limits", type=Path)
    command.add_argument("fast_model", type=Path)
    command.add_argument("accurate_model", type=Path)
    command.add_argument("model_dir", type=Path)
    command.set_defaults(run=_join)
    command = commands.add_parser("relabel", help="give a model that tells scene classes other labels")
    command.add_argument("old_model", type=Path)
    command.add_argument("labels", type=Path, help="CSV of classes and hashtags")
    command.add_argument("model_dir", type=Path)
    command.add_argument("--least", type=Path, help="JSON of hashtags: no threshold is below these")
    command.set_defaults(run=_relabel)
    command = commands.add_parser("look", help="what the photos of each class look like, as mean features")
    command.add_argument("photos", type=Path, help="a manifest.csv, or a folder with one folder per class")
    command.add_argument("file", type=Path, help="the .npz to write")
    command.add_argument("--backbone", choices=sorted(BACKBONES), required=True)
    command.add_argument("--cache", type=Path, required=True, help="where features are kept")
    command.set_defaults(run=_look)
    command = commands.add_parser("features", help="compute features of photos that standard input names")
    command.add_argument("--cache", type=Path, required=True, help="where features are kept")
    command.add_argument("--threads", type=int, help="of the network (default: one per core)")
    command.set_defaults(run=_features)
    command = commands.add_parser("predict", help="suggest a hashtag for photos, one JSON line each")
    command.add_argument("model_dir", type=Path)
    command.add_argument("photos", type=Path, nargs="+")
    command.set_defaults(run=_predict)
    command = commands.add_parser("evaluate", help="figures of a model on the photos of a manifest.csv")
    command.add_argument("model_dir", type=Path)
    command.add_argument("manifest", type=Path)
    command.set_defaults(run=_evaluate)
    return parser


if __name__ == "__main__":
    sys.exit(main())
