"""Notes of an intake: what was guessed, or could not be told from the names of files.

A row keeps a kind of note and what fills it in, so that each reader gets it in their own language. Rows from
before have English sentences, which stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

Note = dict[str, Any]
NAMED = 3  # names that a note lists

KINDS: dict[str, Callable[[int], str]] = {
    "cp866": lambda n: ngettext(
        "The zip does not say in which alphabet the name of %(n)s entry is; we took Cyrillic (cp866): "
        "“%(example)s”.",
        "The zip does not say in which alphabet the names of %(n)s entries are; we took Cyrillic (cp866): "
        "“%(example)s”.",
        n,
    ),
    "cp437": lambda n: ngettext(
        "The zip does not say in which alphabet the name of %(n)s entry is; we took Western (cp437): "
        "“%(example)s”.",
        "The zip does not say in which alphabet the names of %(n)s entries are; we took Western (cp437): "
        "“%(example)s”.",
        n,
    ),
    "in front": lambda n: ngettext(
        "%(n)s byte in front of the zip was not read: perhaps another archive.",
        "%(n)s bytes in front of the zip were not read: perhaps another archive.",
        n,
    ),
    "behind": lambda n: ngettext(
        "%(n)s byte behind the zip was not read: perhaps another archive.",
        "%(n)s bytes behind the zip were not read: perhaps another archive.",
        n,
    ),
    "no terms": lambda n: _("“%(name)s” got no terms: %(names)s of the table fit."),
    "one row": lambda n: ngettext(
        "The table's row “%(row)s” was used for %(n)s file: %(names)s.",
        "The table's row “%(row)s” was used for %(n)s files: %(names)s.",
        n,
    ),
    "more": lambda n: ngettext("The same holds for %(n)s more.", "The same holds for %(n)s more.", n),
}


def note(kind: str, n: int = 0, *, names: Sequence[str] = (), **facts: str) -> Note:
    """What is kept. Of `names` those that are shown, and how many more there are. Raises KeyError."""
    KINDS[kind]
    shown = [name[:100] for name in names[:NAMED]]
    return {"kind": kind, "n": n, "names": shown, "more": len(names) - len(shown), **facts}


def words_of(kept: Note | str) -> str:
    """A note as its reader sees it."""
    if isinstance(kept, str):
        return kept
    names = ", ".join(_("“%(name)s”") % {"name": name} for name in kept["names"])
    if kept["more"]:
        names = _("%(names)s and %(n)s more") % {"names": names, "n": intcomma(kept["more"])}
    text = KINDS[kept["kind"]](kept["n"]) % {**kept, "n": intcomma(kept["n"]), "names": names}
    return f"{kept['file']}: {text}" if "file" in kept else text
