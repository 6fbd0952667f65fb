"""Which code runs here: noted by every run and worker, so that what they did can be traced to it."""

from __future__ import annotations

import subprocess
import tomllib
from functools import lru_cache

from django.conf import settings


@lru_cache(maxsize=1)
def code_version() -> str:
    """The commit's short hash, with "+" if tracked files differ; without git, the program's version."""
    if (settings.BASE_DIR / ".git").exists():
        commit = _git("rev-parse", "--short=10", "HEAD")
        if commit:
            return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    try:
        with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return ""


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(settings.BASE_DIR), *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""  # no git on this machine, or the folder is somebody else's
    return result.stdout.strip()
