"""The files of runs. With a bucket they are stored at each checkpoint, so that any machine can continue."""

from __future__ import annotations

import shutil
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from trainer.models import TrainingRun
from trainer.runs.boards import LOGS, end, logs_of
from trainer.runs.disk import CHECKPOINT, PIXELS, PREVIOUS
from trainer.runs.unlabelled import TABLE
from trainer.set_files import CORRECTED
from trainer.shared import MARK, Tree, is_shared, is_whole, mark, marked

KIND = "runs"
# Made again by themselves, or true on this machine only.
KEPT_HERE = ("*.part", "*.lock", PIXELS, PREVIOUS, MARK, "job.json", "manifest.csv", TABLE)
TRIES = 3


def store(run: TrainingRun, *, token: int) -> None:
    """Raises StorageFailure, and Superseded if a later holder of the run's lease has stored something."""
    if not is_shared():
        return
    paths = [path.relative_to(run.folder) for path in run.folder.rglob("*") if path.is_file()]
    names = [path.as_posix() for path in paths if _is_shared_file(path)]
    # The engine writes the best weights first: they may be newer than the checkpoint, but not older.
    names.sort(key=lambda name: Path(name).name != CHECKPOINT)
    mark(run.folder, Tree(KIND, run.pk).store(run.folder, names, token=token))


def _is_shared_file(path: Path) -> bool:
    return path.parts[0] != LOGS and not any(fnmatch(path.name, pattern) for pattern in KEPT_HERE)


def bring(run: TrainingRun) -> None:
    """Make the run's folder what the bucket has, unless this machine stored that: then it has the same or
    more. Raises StorageFailure.
    """
    if not is_shared():
        return
    tree = Tree(KIND, run.pk)
    for last in (False,) * (TRIES - 1) + (True,):
        index = tree.index()
        if index is None:
            return
        here = marked(run.folder)
        if here == index and all((run.folder / path).exists() for path in index.files):
            return
        try:
            for path, content in index.files.items():
                if not is_whole(run.folder / path, content):
                    tree.fetch(content, run.folder / path)
        except FileNotFoundError:  # its machine has stored the next checkpoint meanwhile
            if last:
                raise
            continue
        _remove_others(run.folder, set(index.files))
        mark(run.folder, index)
        return


def drop_logs(run: TrainingRun) -> None:
    """Logs have small copies of photos. Where another machine may be asked to delete one, none are kept."""
    if is_shared() and (run.photo_set.root.startswith(f"{CORRECTED}/") or run.recipe.get("unlabelled")):
        shutil.rmtree(logs_of(run), ignore_errors=True)  # if one cannot be deleted, the others still are
        with suppress(OSError):
            end(run.pk)


def _remove_others(folder: Path, names: set[str]) -> None:
    """What an earlier attempt on this machine has left: its checkpoints are older than the bucket's."""
    for file in folder.rglob("*"):
        path = file.relative_to(folder)
        is_older = _is_shared_file(path) or path.name == PREVIOUS
        if file.is_file() and is_older and path.as_posix() not in names:
            file.unlink(missing_ok=True)
