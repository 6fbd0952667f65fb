"""The engine's commands; see ``python -m trainer.engine --help``.

Events are JSON lines on standard output."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import EngineError
from .events import Stopped, StopRequest, emit
from .parent import end_with_parent

STOPPED = 143  # 128 + SIGTERM, what a shell reports for a stopped program


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except Stopped:
        emit("stopped")
        return STOPPED
    except EngineError as error:
        emit("error", kind=error.kind, message=error.message, hint=error.hint)
    except MemoryError:
        emit("error", kind="memory", message="the machine ran out of memory", hint=_MEMORY_HINT)
    except OSError as error:
        kind = (
            "disk"
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)
            else "photos"
        )
        emit("error", kind=kind, message=str(error), hint="Is the disk full, or the folder read-only?")
    except RuntimeError as error:
        if "out of memory" not in str(error) and "can't allocate" not in str(error):
            raise
        emit("error", kind="memory", message=str(error).split("\n")[0], hint=_MEMORY_HINT)
    return 1


_MEMORY_HINT = "Choose a smaller batch size or smaller photos."


def _train(arguments: argparse.Namespace) -> int:
    stop = StopRequest().listen()  # before torch is imported: that takes seconds
    end_with_parent()
    from .train import RunJob, train

    report = train(RunJob.read(arguments.job), stop)
    emit("done", accuracy=report["accuracy"], balanced_accuracy=report["balanced_accuracy"])
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from .export import export

    manifest = export(arguments.run_dir, arguments.model_dir, target_precision=arguments.target_precision)
    emit("done", max_abs_difference=manifest["max_abs_difference"], held_out=manifest["held_out"])
    return 0


def _pack(arguments: argparse.Namespace) -> int:
    from .assemble import pack

    facts = pack(arguments.run_dir, arguments.starter_dir, target_precision=arguments.target_precision)
    emit("done", metrics=facts["metrics"], held_out=facts["held_out"])
    return 0


def _assemble(arguments: argparse.Namespace) -> int:
    from .assemble import assemble

    manifest = assemble(arguments.starter_dir, arguments.model_dir)
    emit("done", max_abs_difference=manifest["max_abs_difference"])
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from .predict import Suggester

    for suggestion in Suggester(arguments.model_dir, threads=None).suggest(arguments.photos):
        print(json.dumps(suggestion.as_dict(), ensure_ascii=False), flush=True)
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from .evaluate import evaluate

    print(json.dumps(evaluate(arguments.model_dir, arguments.manifest), ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.engine", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train a job file's recipe, or go on where it stopped")
    train.add_argument("job", type=Path)
    train.set_defaults(run=_train)
    for name, run, target, text in (
        ("export", _export, "model_dir", "make a model folder of a finished run"),
        ("pack", _pack, "starter_dir", "make a small folder of a frozen run, without its backbone"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("run_dir", type=Path)
        command.add_argument(target, type=Path)
        command.add_argument("--target-precision", type=float, default=0.9)
        command.set_defaults(run=run)
    command = commands.add_parser("assemble", help="make a model folder of a packed one")
    command.add_argument("starter_dir", type=Path)
    command.add_argument("model_dir", type=Path)
    command.set_defaults(run=_assemble)
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
