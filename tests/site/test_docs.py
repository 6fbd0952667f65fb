"""Links, anchors, files and modules that the documentation names exist. The contents list every page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.conf import settings
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Path = settings.BASE_DIR
NOT_OURS = {"var", "shared", "staticfiles", "node_modules"}
FOLDERS = sorted(
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and not path.name.startswith(".") and path.name not in NOT_OURS
)
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})(?:/[\w.*-]+)+/?")
MODULE = re.compile(rf"-m ((?:{'|'.join(FOLDERS)})(?:\.[a-z_]+)+)")
IMAGE = re.compile(r'<img src="([^"]+)"')


def _markdown_files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in NOT_OURS]
        yield from (Path(folder) / name for name in names if name.endswith(".md"))


PAGES = sorted(str(path.relative_to(ROOT)) for path in _markdown_files())
pages = pytest.mark.parametrize("page", PAGES)


def tokens_of(path: Path) -> list[Token]:
    """The page's tokens, those inside paragraphs and table cells included."""
    blocks = MarkdownIt("commonmark").enable("table").parse(path.read_text())
    return [token for block in blocks for token in (block, *(block.children or ()))]


def links_of(path: Path) -> list[str]:
    links = []
    for token in tokens_of(path):
        links += [str(target) for target in (token.attrs.get("href"), token.attrs.get("src")) if target]
        if token.type.startswith("html"):
            links += IMAGE.findall(token.content)
    return links


def anchors_of(path: Path) -> set[str]:
    """The anchors that GitHub makes of headings: lower case, no punctuation, hyphens for blanks."""
    tokens = tokens_of(path)
    titles = [content.content for opening, content in pairwise(tokens) if opening.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def does_resolve(link: str, *, page: Path) -> bool:
    if re.match(r"[a-z]+:", link):
        return True  # another site: tests run without a network
    address, _, anchor = link.partition("#")
    target = page.parent / unquote(address) if address else page
    return target.exists() and (not anchor or anchor in anchors_of(target))


@pages
def test_every_link_resolves(page: str) -> None:
    path = ROOT / page
    assert [link for link in links_of(path) if not does_resolve(link, page=path)] == []


@pages
def test_every_file_named_exists(page: str) -> None:
    codes = [token.content for token in tokens_of(ROOT / page) if token.type == "code_inline"]
    paths = [code for code in codes if PATH.fullmatch(code)]
    assert [path for path in paths if not any(ROOT.glob(path))] == []


@pages
def test_every_file_in_a_drawing_exists(page: str) -> None:
    drawings = [token.content for token in tokens_of(ROOT / page) if token.info.strip() == "mermaid"]
    paths = [path for drawing in drawings for path in PATH.findall(drawing)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_structure_of_the_trainer_is_complete() -> None:
    """Figure 8 of the thesis: its parts, and every module of the training loop that has one."""
    [drawing] = [t.content for t in tokens_of(ROOT / "docs/engine.md") if t.info.strip() == "mermaid"]
    for part in ("Trainer", "Module", "Dataset", "Loss", "Optimizer", "Scheduler", "Stopper", "Tensor"):
        assert f'["{part}' in drawing, part
    assert '["MetricsCalculator' in drawing
    modules = {path.name for path in (ROOT / "trainer/engine/training").glob("*.py")}
    drawn = {Path(path).name for path in PATH.findall(drawing) if "/training/" in path}
    assert modules - drawn == {"__init__.py", "lock.py"}  # the lock is no part of the thesis's trainer


@pages
def test_every_module_to_run_exists(page: str) -> None:
    modules = [name.replace(".", "/") for name in MODULE.findall((ROOT / page).read_text())]
    missing = [
        m for m in modules if not (ROOT / f"{m}.py").exists() and not (ROOT / m / "__main__.py").exists()
    ]
    assert missing == []


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = ROOT / "docs/README.md"
    listed = {(contents.parent / link).resolve() for link in links_of(contents)}
    written = {path.resolve() for path in (ROOT / "docs").rglob("*.md")} - {contents.resolve()}
    assert sorted(map(str, written - listed)) == []


@pytest.mark.parametrize("link", ["gone.md", "README.md#no-such-heading", "#no-such-heading"])
def test_a_dead_link_fails(link: str) -> None:
    assert not does_resolve(link, page=ROOT / "README.md")
