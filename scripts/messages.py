"""Extract each app's texts into its own locale/ and compile the translations. `make messages`.

Django's own makemessages needs GNU gettext; this script needs only Babel. Django's templatize turns templates
into Python. Unused messages are dropped. A message that another app has translated already is translated the
same way: Django joins the catalogues, so one message can have one translation only. Other new messages get an
empty translation, which tests/site/test_translations.py rejects.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
APPS = ("hashtags_site", "serving", "validation", "trainer", "mapping", "jobs", "notices", "people")
WORDS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "Text")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
ENGLISH = ("migrations", "management")  # folders without words for pages
BESIDE = {"jobs": ("formats",)}  # folders whose words are in an app's catalogue


def catalogue(app: str, language: str) -> Path:
    return ROOT / app / "locale" / language / "LC_MESSAGES" / "django.po"


def sources(app: str) -> Iterator[Path]:
    """The templates and Python files of an app that may hold words for people."""
    folders = [ROOT / folder for folder in (app, *BESIDE.get(app, ()))]
    files = (
        file for folder in folders for kind in ("html", "txt", "py") for file in folder.rglob(f"*.{kind}")
    )
    for path in sorted(files):
        if not set(path.relative_to(ROOT).parts) & set(ENGLISH):
            yield path


def collect_messages(app: str) -> Catalog:
    """All messages of the app's templates and Python files, with their locations."""
    sys.path.insert(0, str(ROOT))
    from django.conf import settings
    from django.utils.translation.template import templatize

    if not settings.configured:
        settings.configure()
    catalog = Catalog()
    for path in sources(app):
        text = path.read_text()
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in (".html", ".txt"):
            lines = templatize(text, origin=name).splitlines()
            text = "\n".join(line.lstrip() for line in lines)  # a template's indentation is not Python's
        for line, message, comments, context in extract(
            "python", io.BytesIO(text.encode()), keywords=WORDS, comment_tags=("Translators:",)
        ):
            catalog.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    return catalog


def read(app: str, language: str) -> Catalog:
    path = catalogue(app, language)
    if not path.exists():
        comment = f"# Scenetag, the texts of {app}."
        return Catalog(locale=language, project="Scenetag", version="1", header_comment=comment, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update(app: str, language: str, others: Iterable[Catalog]) -> Catalog:
    """Update and compile an app's catalogue, so that it has exactly the messages of its source."""
    catalog = read(app, language)
    creation_date = catalog.creation_date
    catalog.update(collect_messages(app), no_fuzzy_matching=True, update_header_comment=False)
    catalog.creation_date = creation_date  # so that a second run changes nothing
    catalog.obsolete.clear()
    for message in catalog:
        for other in others:
            same = other.get(message.id, message.context) if message.id else None
            if same and not _is_translated(message.string) and _is_translated(same.string):
                message.string = same.string
    if not len(catalog):
        return catalog
    path = catalogue(app, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=110, omit_header=False, sort_by_file=True, include_lineno=False)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalog)
    return catalog


def main() -> int:
    for language in sys.argv[1:] or ["ru"]:
        known = {app: read(app, language) for app in APPS}
        for app in APPS:
            catalog = update(app, language, known.values())
            gaps = [one.id for one in catalog if one.id and not _is_translated(one.string)]
            print(f"{language}, {app}: {len(catalog)} messages, {len(gaps)} without a translation")
            for message in gaps:
                print(f"  {message}")
    return 0


def _is_translated(string: object) -> bool:
    return all(string) if isinstance(string, tuple) else bool(string)


if __name__ == "__main__":
    sys.exit(main())
