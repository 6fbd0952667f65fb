"""Which code trains: written into every run, so that a figure can be traced to what made it."""

from __future__ import annotations

import subprocess
import tomllib
from functools import lru_cache

from django.conf import settings


@lru_cache(maxsize=1)
def code_version() -> str:
    """The commit, shortened and with "+" when files differ from it; without git the release's version."""
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
        done = subprocess.run(
            ["git", "-C", str(settings.BASE_DIR), *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""  # no git on this machine, or the folder is somebody else's
    return done.stdout.strip()
