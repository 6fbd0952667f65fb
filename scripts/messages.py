"""Extract the texts of the voters' pages into locale/ and compile the translations. `make messages`.

Django's own makemessages needs GNU gettext; this script needs only Babel. Django's templatize turns templates
into Python. Unused messages are dropped. New messages get an empty translation, which
tests/site/test_translations.py rejects.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "locale"
WORDS = {"gettext": None, "_": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "gettext_noop": None}
WORDS["npgettext"] = ((1, "c"), 2, 3)  # type: ignore[assignment]


def collect_messages() -> Catalog:
    """All messages of templates and Python files, with their locations."""
    sys.path.insert(0, str(ROOT))
    from django.conf import settings
    from django.utils.translation.template import templatize

    if not settings.configured:
        settings.configure()
    catalog = Catalog()
    files = [*ROOT.glob("*/templates/**/*.html"), *ROOT.glob("validation/**/*.py")]
    for path in sorted([*files, ROOT / "hashtags_site/outages.py"]):
        text = path.read_text()
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".html":
            lines = templatize(text, origin=name).splitlines()
            text = "\n".join(line.lstrip() for line in lines)  # a template's indentation is not Python's
        for line, message, comments, context in extract(
            "python", io.BytesIO(text.encode()), keywords=WORDS, comment_tags=("Translators:",)
        ):
            catalog.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    return catalog


def update(language: str) -> Catalog:
    """Update and compile the catalogue of a language, so that it has exactly the messages of the source."""
    path = LOCALE / language / "LC_MESSAGES/django.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with path.open("rb") as file:
            catalog = read_po(file, locale=language)
    else:
        catalog = Catalog(
            locale=language,
            project="Scenetag",
            version="1",
            header_comment="# Scenetag, the voters' pages.",
            fuzzy=False,
        )
    creation_date = catalog.creation_date
    catalog.update(collect_messages(), no_fuzzy_matching=True, update_header_comment=False)
    catalog.creation_date = creation_date  # so that a second run changes nothing
    catalog.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalog, width=110, omit_header=False, sort_by_file=True, include_lineno=False)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalog)
    return catalog


def main() -> int:
    for language in sys.argv[1:] or ["ru"]:
        catalog = update(language)
        gaps = [one.id for one in catalog if one.id and not _is_translated(one.string)]
        print(f"{language}: {len(catalog)} messages, {len(gaps)} without a translation")
        for message in gaps:
            print(f"  {message}")
    return 0


def _is_translated(string: object) -> bool:
    return all(string) if isinstance(string, tuple) else bool(string)


if __name__ == "__main__":
    sys.exit(main())
