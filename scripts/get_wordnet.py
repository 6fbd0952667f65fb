"""Provide WordNet 3.0 for nltk, without root: python scripts/get_wordnet.py [--dest DIR]

Tries three sources in this order: data that nltk already finds; nltk's own downloader; Debian's packages
wordnet-base and wordnet-sense-index, downloaded by apt-get and unpacked into DIR.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("wordnet-base", "wordnet-sense-index")
# The 45 lexicographer files by number (WordNet's lexnames(5WN)), with their part of speech:
# 1 noun, 2 verb, 3 adjective, 4 adverb. Debian does not package this list, but nltk needs it.
LEXNAMES = (
    "adj.all:3 adj.pert:3 adv.all:4 noun.Tops:1 noun.act:1 noun.animal:1 noun.artifact:1 noun.attribute:1 "
    "noun.body:1 noun.cognition:1 noun.communication:1 noun.event:1 noun.feeling:1 noun.food:1 noun.group:1 "
    "noun.location:1 noun.motive:1 noun.object:1 noun.person:1 noun.phenomenon:1 noun.plant:1 "
    "noun.possession:1 noun.process:1 noun.quantity:1 noun.relation:1 noun.shape:1 noun.state:1 "
    "noun.substance:1 noun.time:1 verb.body:2 verb.change:2 verb.cognition:2 verb.communication:2 "
    "verb.competition:2 verb.consumption:2 verb.contact:2 verb.creation:2 verb.emotion:2 verb.motion:2 "
    "verb.perception:2 verb.possession:2 verb.social:2 verb.stative:2 verb.weather:2 adj.ppl:3"
)


def is_found_by_nltk(dest: Path) -> bool:
    import nltk

    nltk.data.path.append(str(dest))
    for name in ("corpora/wordnet", "corpora/wordnet.zip"):
        try:
            nltk.data.find(name)
        except LookupError:
            continue
        return True
    return False


def by_nltk(dest: Path) -> bool:
    # Into a temporary folder, because an interrupted download must not look like data.
    with tempfile.TemporaryDirectory(dir=dest) as folder:
        argv = [sys.executable, "-m", "nltk.downloader", "-q", "-d", folder, "wordnet"]
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(argv, capture_output=True, timeout=90, check=False)
        if install(Path(folder) / "corpora/wordnet.zip", dest / "corpora/wordnet.zip"):
            return True
    print("nltk's downloader cannot reach its host. Trying Debian's packages")
    return False


def by_debian(dest: Path) -> bool:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        print("Debian's packages: apt-get is not available", file=sys.stderr)
        return False
    with tempfile.TemporaryDirectory(dir=dest) as folder:
        work = Path(folder)
        if not (apt_download(work, []) or apt_download(work, private_lists(work))):
            return False
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(work / "unpacked")], check=True)
        data = work / "unpacked/usr/share/wordnet"
        lines = (item.split(":") for item in LEXNAMES.split())
        lexnames = "".join(f"{number:02}\t{name}\t{pos}\n" for number, (name, pos) in enumerate(lines))
        (data / "lexnames").write_text(lexnames)
        return install(data, dest / "corpora/wordnet")


def apt_download(work: Path, options: list[str]) -> bool:
    """Download both packages into the folder. Returns whether they are there."""
    if options and subprocess.run(["apt-get", *options, "-q", "update"], capture_output=True).returncode:
        return False
    process = subprocess.run(
        ["apt-get", *options, "download", *PACKAGES], cwd=work, capture_output=True, text=True
    )
    if process.returncode and options:
        print(f"Debian's packages: {process.stderr.strip()[-500:]}", file=sys.stderr)
    return len(list(work.glob("*.deb"))) == len(PACKAGES)


def private_lists(work: Path) -> list[str]:
    """apt options for private package lists, because only root can fetch the shared ones."""
    (work / "lists/partial").mkdir(parents=True)
    (work / "cache/archives/partial").mkdir(parents=True)
    settings = {
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def install(source: Path, target: Path) -> bool:
    """Move the data atomically, so that nobody sees incomplete data. Returns whether it is there."""
    if not source.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.replace(source, target)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dest", type=Path, default=ROOT / "var/nltk_data")
    dest: Path = parser.parse_args().dest
    dest.mkdir(parents=True, exist_ok=True)
    if is_found_by_nltk(dest):
        return 0
    for way in (by_nltk, by_debian):
        if way(dest):
            print(f"WordNet is in {dest}")
            return 0
    print(
        "WordNet could not be downloaded. Do one of the following:\n"
        "  1. copy nltk's data folder with corpora/wordnet to this machine and set NLTK_DATA to it;\n"
        "  2. if raw.githubusercontent.com is reachable, run: python -m nltk.downloader wordnet;\n"
        "  3. on Debian or Ubuntu, make this work: apt-get download wordnet-base wordnet-sense-index.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
