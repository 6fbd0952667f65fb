"""The hashtags there are: which are offered, how one is found, blocked, or counted anew from a file."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from mapping.files.classlists import Problem, Unreadable, numbered, table_reader, unguard
from mapping.lexicon import wordnet
from mapping.lexicon.nouns import Nouns
from mapping.models import OTHER, Hashtag, MappingEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

NAME = re.compile(r"^\w+$")  # what the social networks take for one tag; any alphabet
# Lexicographer files of what a photo can show; #church is the building before it is the faith.
SEEN = frozenset(
    f"noun.{name}"
    for name in (
        *("act", "animal", "artifact", "body", "event", "food", "location", "object"),
        *("person", "phenomenon", "plant", "substance", "Tops"),
    )
)
COUNTED = ("posts", "source", "counted_on")
MOST_POSTS = 10**13
COLUMNS = {
    **dict.fromkeys(("hashtag", "name", "tag"), "name"),
    "posts": "posts",
    **dict.fromkeys(("posts_million", "instagram_posts_million"), "posts_million"),
    "source": "source",
    "counted_on": "counted_on",
}
BATCH = 500


class CountsMoved(Exception):
    """The vocabulary changed since the preview; nothing was imported."""


class CountsHaveProblems(Exception):
    """Some rows cannot be used; nothing was imported."""


def offered() -> QuerySet[Hashtag]:
    """Popular enough and not blocked, most popular first."""
    return Hashtag.objects.filter(blocked=False, posts__gte=settings.HASHTAG_MIN_POSTS)


def search(words: str, limit: int) -> list[Hashtag]:
    """Hashtags on offer that contain what was typed: the very one, those that begin so, the rest."""
    wanted = typed(words)
    if not wanted:
        return []
    found = offered().filter(name__icontains=wanted).annotate(place=_place(wanted))
    return list(found.order_by("place", "-posts", "name")[:limit])


def typed(words: str) -> str:
    """A hashtag's name as it is kept, of what a person typed."""
    return words.strip().lstrip("#").replace(" ", "").lower()


def _place(wanted: str) -> Case:
    return Case(
        When(name__iexact=wanted, then=Value(0)),
        When(name__istartswith=wanted, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )


STATES = ("offered", "rare", "blocked", "carried")  # carried: by at least one class


def listed(words: str = "", state: str = "") -> QuerySet[Hashtag]:
    """All hashtags with `classes`, how many carry each in the mapping. state: STATES."""
    # Ordered here: an aggregate drops the model's own order.
    rows = Hashtag.objects.annotate(classes=Count("entries", filter=Q(entries__opinion=None)))
    if wanted := typed(words):
        rows = rows.filter(name__icontains=wanted)
    if state == "offered":
        rows = rows.filter(blocked=False, posts__gte=settings.HASHTAG_MIN_POSTS)
    elif state == "rare":
        rows = rows.filter(blocked=False, posts__lt=settings.HASHTAG_MIN_POSTS)
    elif state == "blocked":
        rows = rows.filter(blocked=True)
    elif state == "carried":
        rows = rows.filter(classes__gt=0)
    return rows.order_by("-posts", "name")


def synonyms(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """WordNet's other words for the hashtag's commonest sense that can be seen.

    None without WordNet, and for what is no noun.
    """
    try:
        table = wordnet.nouns()
    except wordnet.WordNetMissing:
        return {}
    return {name: _synonyms(table, name) for name in names}


def _synonyms(table: Nouns, name: str) -> tuple[str, ...]:
    # In WordNet's own order: our ranking prefers places, and would take #snow for a drug.
    found = table.synsets(name)
    best = next((number for number in found if table.lexname(number) in SEEN), found[0] if found else None)
    words = table.lemmas(best) if best is not None else ()
    return tuple(dict.fromkeys(word for word in words if word.lower().replace(" ", "") != name))


def photos_by_hashtag(photo_counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Label and photos, most first, `other` too: of scene key → photos, by the mapping as it is."""
    entries = MappingEntry.objects.order_by().exclude(status=MappingEntry.Status.UNDECIDED)
    found: Counter[str] = Counter()
    for key, name in entries.values_list("scene_class__key", "hashtag__name"):
        found[name or OTHER] += photo_counts.get(key, 0)
    return [(label, photos) for label, photos in found.most_common() if photos]


@transaction.atomic
def block(*, hashtag_id: int, why: str, by: AbstractBaseUser) -> Hashtag:
    """Never offer it again; classes that carry it keep it. A repeat changes nothing.

    Raises Hashtag.DoesNotExist, ValueError without a reason.
    """
    why = why.strip()
    if not why:
        raise ValueError("Say why it is blocked: whoever finds it missing will ask.")
    return _set_blocked(hashtag_id, blocked=True, why=why, by=by)


@transaction.atomic
def unblock(*, hashtag_id: int, by: AbstractBaseUser) -> Hashtag:
    """Offer it again; a repeat changes nothing. Raises Hashtag.DoesNotExist."""
    return _set_blocked(hashtag_id, blocked=False, why="", by=by)


def _set_blocked(hashtag_id: int, *, blocked: bool, why: str, by: AbstractBaseUser) -> Hashtag:
    row = Hashtag.objects.select_for_update(of=("self",)).get(pk=hashtag_id)
    if (row.blocked, row.blocked_why) != (blocked, why):
        row.blocked, row.blocked_why = blocked, why
        reason = "blocked" if blocked else "offered again"
        bulk_update_with_history(
            [row], Hashtag, ["blocked", "blocked_why"], default_user=by, default_change_reason=reason
        )
    return row


@dataclass(frozen=True)
class Counted:
    """A row of counts: what it says, and what was there. was: None when the hashtag is new."""

    line: int
    name: str
    says: dict[str, Any]
    was: dict[str, Any] | None = None

    @property
    def is_offered(self) -> bool:
        return bool(self.says["posts"] >= settings.HASHTAG_MIN_POSTS)


@dataclass(frozen=True)
class CountsPlan:
    new: list[Counted] = field(default_factory=list)
    changed: list[Counted] = field(default_factory=list)
    same: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def writes(self) -> list[Counted]:
        return sorted(self.new + self.changed, key=lambda count: count.line)

    @cached_property
    def fingerprint(self) -> str:
        """Names what the plan would do to the vocabulary as it was when it was made."""
        return hashlib.sha256(repr((self.writes, self.problems)).encode()).hexdigest()[:16]


def plan_counts(text: str) -> CountsPlan:
    """What importing this CSV of counts would do. Writes nothing. Raises Unreadable."""
    found = CountsPlan()
    known = {row.name: row for row in Hashtag.objects.order_by()}
    first: dict[str, int] = {}
    same = 0
    for line, values in _rows(text):
        wrong, says = _checked(line, values)
        name = typed(values.get("name", ""))
        if name in first:
            wrong.append(Problem(line, "hashtag", f"{name} stands in line {first[name]} already"))
        first.setdefault(name, line)
        if name not in known:
            wrong += [
                Problem(line, column, "a new hashtag needs it") for column in COUNTED if column not in says
            ]
        found.problems.extend(wrong)
        if wrong:
            continue
        row = known.get(name)
        was = {column: getattr(row, column) for column in says} if row else None
        if was is None:
            found.new.append(Counted(line, name, says))
        elif was != says:
            found.changed.append(Counted(line, name, says, was))
        else:
            same += 1
    if not first:
        raise Unreadable("There is no hashtag in it.")
    return CountsPlan(found.new, found.changed, same, found.problems)


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = table_reader(text)
    try:
        header = [COLUMNS.get(name.strip().lower().lstrip("\ufeff")) for name in next(reader, [])]
    except csv.Error as error:
        raise Unreadable(f"This is not a table: {error}.") from error
    if "name" not in header or not {"posts", "posts_million"} & set(header):
        raise Unreadable("The table needs the columns hashtag and posts; source and counted_on are welcome.")
    for line, cells in numbered(reader):
        if any(cell.strip() for cell in cells):
            yield (
                line,
                {name: unguard(cell).strip() for name, cell in zip(header, cells, strict=False) if name},
            )


def _checked(line: int, values: dict[str, str]) -> tuple[list[Problem], dict[str, Any]]:
    """What is wrong with the row, and what it says. A source or date that is not there stays as it is."""
    wrong = list(name_problems(line, typed(values.get("name", ""))))
    unit, told = ("posts", values["posts"]) if "posts" in values else ("posts_million", None)
    told = told if told is not None else values.get("posts_million", "")
    digits = re.sub(r"[\s_\u00a0\u202f]", "", told)
    posts = -1
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        posts = int(digits) * (1 if unit == "posts" else 1_000_000)
    if not 0 <= posts <= MOST_POSTS:
        wrong.append(Problem(line, unit, f"“{told[:40]}” is not a number of posts"))
    says: dict[str, Any] = {"posts": posts}
    for name, most in (("source", 200), ("counted_on", 20)):
        if text := values.get(name, ""):
            says[name] = text
            if len(text) > most:
                wrong.append(Problem(line, name, f"it has {len(text)} characters; {most} fit"))
    return wrong, says


def name_problems(line: int, name: str) -> Iterator[Problem]:
    if name == OTHER:
        yield Problem(line, "hashtag", "“other” is the answer of a class that no hashtag fits")
    elif not NAME.match(name):
        yield Problem(line, "hashtag", f"“{name[:60]}” is not a hashtag: letters, digits and _ only")
    elif len(name) > 50:
        yield Problem(line, "hashtag", f"it has {len(name)} characters; 50 fit")


@transaction.atomic
def import_counts(*, text: str, seen: str, by: AbstractBaseUser | None) -> int:
    """Do what the plan with the fingerprint `seen` said, with a line in the history for each hashtag.

    Returns how many were new or changed. Raises Unreadable, CountsHaveProblems, CountsMoved, and then keeps
    nothing.
    """
    list(Hashtag.objects.select_for_update().order_by("pk").values_list("pk"))
    made = plan_counts(text)
    if made.problems:
        raise CountsHaveProblems
    if not made.writes:
        return 0
    if made.fingerprint != seen:
        raise CountsMoved
    options = {"batch_size": BATCH, "default_user": by, "default_change_reason": "counted"}
    new = [Hashtag(name=count.name, **count.says) for count in made.new]
    try:
        bulk_create_with_history(new, Hashtag, **options)
    except IntegrityError as error:  # another import of the same new hashtag, in the same moment
        raise CountsMoved from error
    known = Hashtag.objects.in_bulk([count.name for count in made.changed], field_name="name")
    for count in made.changed:
        for name, value in count.says.items():
            setattr(known[count.name], name, value)
    bulk_update_with_history(list(known.values()), Hashtag, COUNTED, **options)
    return len(made.writes)
