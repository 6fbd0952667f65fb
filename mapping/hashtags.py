"""The vocabulary of hashtags: which are offered, how to search, block and recount them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, Count, IntegerField, Q, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from formats.names import describe_change, is_hashtag
from formats.names import normalize_hashtag as normalize_name
from formats.table import Columns, Problem, Table, TableRow, Unreadable, cut_number, read_table, whole_number
from mapping.lexicon import wordnet
from mapping.lexicon.nouns import Nouns
from mapping.models import OTHER, Hashtag, HashtagQuerySet, MappingEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

# Lexicographer files of things that a photo can show: #church means the building, not the faith.
VISIBLE = frozenset(
    f"noun.{name}"
    for name in (
        *("act", "animal", "artifact", "body", "event", "food", "location", "object"),
        *("person", "phenomenon", "plant", "substance", "Tops"),
    )
)
COUNTED = ("posts", "source", "counted_on")
MOST_POSTS = 10**13
COLUMNS = Columns(
    {
        **dict.fromkeys(("hashtag", "name", "tag"), "name"),
        "posts": "posts",
        **dict.fromkeys(("posts_million", "instagram_posts_million"), "posts_million"),
        "source": "source",
        "counted_on": "counted_on",
    },
    required=[("name",), ("posts", "posts_million")],
    asks=gettext_noop("The table needs the columns hashtag and posts; source and counted_on are optional."),
    alike=("posts", "posts_million"),
)
BATCH = 500


class CountsMoved(Exception):
    """The vocabulary changed after the preview. Nothing was imported."""


class CountsHaveProblems(Exception):
    """Some rows cannot be used. Nothing was imported."""


def offered_hashtags() -> HashtagQuerySet:
    """Hashtags that are popular enough and not blocked, most popular first."""
    return Hashtag.objects.unblocked().filter(posts__gte=settings.HASHTAG_MIN_POSTS)


def blocked_names() -> frozenset[str]:
    """The hashtags that must not be suggested. One query, because no process may remember yesterday's."""
    return frozenset(Hashtag.objects.blocked().order_by().values_list("name", flat=True))


def search(words: str, limit: int) -> list[Hashtag]:
    """Offered hashtags that contain these words: the exact match, those that begin so, the rest."""
    name = normalize_name(words)
    if not name:
        return []
    matches = offered_hashtags().filter(name__icontains=name).annotate(place=_place(name))
    return list(matches.order_by("place", "-posts", "name")[:limit])


def _place(name: str) -> Case:
    return Case(
        When(name__iexact=name, then=Value(0)),
        When(name__istartswith=name, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )


STATES = ("offered", "rare", "blocked", "carried")  # carried: at least one class has it


def filter_hashtags(words: str = "", state: str = "") -> HashtagQuerySet:
    """Hashtags, annotated with `classes`: how many classes of the mapping have each. state: one of STATES."""
    # Explicit order, because an aggregate drops the default order of the model.
    rows = Hashtag.objects.all().annotate(classes=Count("entries", filter=Q(entries__opinion=None)))
    if name := normalize_name(words):
        rows = rows.filter(name__icontains=name)
    if state == "offered":
        rows = rows.unblocked().filter(posts__gte=settings.HASHTAG_MIN_POSTS)
    elif state == "rare":
        rows = rows.unblocked().filter(posts__lt=settings.HASHTAG_MIN_POSTS)
    elif state == "blocked":
        rows = rows.blocked()
    elif state == "carried":
        rows = rows.filter(classes__gt=0)
    return rows.order_by("-posts", "name")


def synonyms(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Hashtag → WordNet's other words for its most common visible sense.

    Empty without WordNet, and for a hashtag that is not a noun.
    """
    try:
        table = wordnet.nouns()
    except wordnet.WordNetMissing:
        return {}
    return {name: _synonyms(table, name) for name in names}


def _synonyms(table: Nouns, name: str) -> tuple[str, ...]:
    # In WordNet's own order, because our ranking of senses prefers places: it would take #snow for a drug.
    senses = table.synsets(name)
    best = next(
        (number for number in senses if table.lexname(number) in VISIBLE), senses[0] if senses else None
    )
    words = table.lemmas(best) if best is not None else ()
    return tuple(dict.fromkeys(word for word in words if word.lower().replace(" ", "") != name))


def photos_by_hashtag(photo_counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Label and number of photos, most first, including `other`. photo_counts: scene key → photos."""
    entries = MappingEntry.objects.order_by().exclude(status=MappingEntry.Status.UNDECIDED)
    photos_of: Counter[str] = Counter()
    for scene_key, name in entries.values_list("scene_class__key", "hashtag__name"):
        photos_of[name or OTHER] += photo_counts.get(scene_key, 0)
    return [(label, photos) for label, photos in photos_of.most_common() if photos]


@transaction.atomic
def block(*, hashtag_id: int, why: str, by: AbstractBaseUser) -> Hashtag:
    """Stop offering the hashtag; classes that have it keep it. A repeated call changes nothing.

    Raises Hashtag.DoesNotExist, or ValueError without a reason.
    """
    why = why.strip()
    if not why:
        raise ValueError(_("Give a reason: people who miss the hashtag will ask."))
    return _set_blocked(hashtag_id, blocked=True, why=why, by=by)


@transaction.atomic
def unblock(*, hashtag_id: int, by: AbstractBaseUser) -> Hashtag:
    """Offer the hashtag again. A repeated call changes nothing. Raises Hashtag.DoesNotExist."""
    return _set_blocked(hashtag_id, blocked=False, why="", by=by)


Follower = Callable[["AbstractBaseUser"], None]
_followers: list[Follower] = []


def after_blocking(act: Follower) -> None:
    """Call this act, in the same transaction, when a hashtag was blocked or unblocked. For AppConfig.ready():
    the mapping imports no app that suggests hashtags.
    """
    _followers.append(act)


def _set_blocked(hashtag_id: int, *, blocked: bool, why: str, by: AbstractBaseUser) -> Hashtag:
    # Without blocking those who insert rows about it: they hold locks that the followers want.
    row = Hashtag.objects.select_for_update(of=("self",), no_key=True).get(pk=hashtag_id)
    if (row.blocked, row.blocked_why) != (blocked, why):
        row.blocked, row.blocked_why = blocked, why
        reason = "blocked" if blocked else "offered again"
        bulk_update_with_history(
            [row], Hashtag, ["blocked", "blocked_why"], default_user=by, default_change_reason=reason
        )
        for follow in _followers:
            follow(by)
    return row


@dataclass(frozen=True)
class CountRow:
    """A row of a file with counts: its values, and the present ones. was: None if the hashtag is new."""

    line: int
    name: str
    says: dict[str, Any]
    was: dict[str, Any] | None = None

    @property
    def is_offered(self) -> bool:
        return bool(self.says["posts"] >= settings.HASHTAG_MIN_POSTS)


@dataclass(frozen=True)
class CountsPlan:
    new: list[CountRow] = field(default_factory=list)
    changed: list[CountRow] = field(default_factory=list)
    same: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)  # what was skipped, or saved differently from the file

    @property
    def writes(self) -> list[CountRow]:
        return sorted(self.new + self.changed, key=lambda count: count.line)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies this plan and the state of the vocabulary that it was made for."""
        return hashlib.sha256(repr((self.writes, self.problems)).encode()).hexdigest()[:16]


def plan_counts(text: str) -> CountsPlan:
    """Plan the import of this CSV of counts. Writes nothing. Raises Unreadable."""
    table = read_table(text, COLUMNS)
    draft = CountsPlan(problems=list(table.problems), notes=list(table.notes))
    row_of = {row.name: row for row in Hashtag.objects.order_by()}
    first: dict[str, int] = {}
    same = 0
    for file_row in table.rows:
        line, values = file_row.line, file_row.values
        row_problems, says = _check_row(table, file_row)
        name = normalize_name(values["name"])
        if change := describe_change(values["name"]):
            draft.notes.append(Problem(line, "hashtag", change))
        if name in first:
            row_problems.append(
                Problem(
                    line,
                    "hashtag",
                    _("%(name)s is already in line %(line)s") % {"name": name, "line": first[name]},
                )
            )
        first.setdefault(name, line)
        if name not in row_of:
            row_problems += [
                Problem(line, column, _("a new hashtag needs this value"))
                for column in COUNTED
                if column not in says
            ]
        draft.problems.extend(row_problems)
        if row_problems:
            continue
        row = row_of.get(name)
        was = {column: getattr(row, column) for column in says} if row else None
        if was is None:
            draft.new.append(CountRow(line, name, says))
        elif was != says:
            draft.changed.append(CountRow(line, name, says, was))
        else:
            same += 1
    if not first and not draft.problems:
        raise Unreadable(_("The file contains no hashtag."))
    problems = sorted(draft.problems, key=lambda problem: problem.line)
    return CountsPlan(draft.new, draft.changed, same, problems, draft.notes)


def _check_row(table: Table, row: TableRow) -> tuple[list[Problem], dict[str, Any]]:
    """The problems of a row, and its values. A missing source or date leaves the present one unchanged."""
    line, values = row.line, row.values
    problems = list(name_problems(line, normalize_name(values["name"])))
    unit = "posts" if "posts" in values else "posts_million"
    number = values[unit]
    count = whole_number(number, grouped=unit == "posts")
    posts = -1 if count is None else count * (1 if unit == "posts" else 1_000_000)
    if cut := cut_number(table, row, unit):
        problems.append(
            Problem(
                line, unit, _("is this %(cut)s? Write it without commas or in quotation marks") % {"cut": cut}
            )
        )
    if not 0 <= posts <= MOST_POSTS:
        problems.append(
            Problem(line, unit, _("“%(number)s” is not a number of posts") % {"number": number[:40]})
        )
    says: dict[str, Any] = {"posts": posts}
    for name, longest in (("source", 200), ("counted_on", 20)):
        if text := values.get(name, ""):
            says[name] = text
            if len(text) > longest:
                problems.append(
                    Problem(
                        line,
                        name,
                        _("it has %(n)s characters; at most %(most)s are allowed")
                        % {"n": len(text), "most": longest},
                    )
                )
    return problems, says


def name_problems(line: int, name: str) -> Iterator[Problem]:
    if name == OTHER:
        yield Problem(line, "hashtag", _("“other” is reserved for classes that no hashtag fits"))
    elif not is_hashtag(name):
        yield Problem(
            line,
            "hashtag",
            _("“%(name)s” is not a hashtag: letters, digits and _ only") % {"name": name[:60]},
        )
    elif len(name) > 50:
        yield Problem(
            line,
            "hashtag",
            _("it has %(n)s characters; at most %(most)s are allowed") % {"n": len(name), "most": 50},
        )


@transaction.atomic
def import_counts(*, text: str, seen: str, by: AbstractBaseUser | None) -> int:
    """Carry out the plan whose fingerprint is `seen`, with a line in the history for each hashtag.

    Returns the number of new and changed hashtags. Raises Unreadable, CountsHaveProblems or CountsMoved;
    nothing is saved then.
    """
    list(Hashtag.objects.select_for_update().order_by("pk").values_list("pk"))
    plan = plan_counts(text)
    if plan.problems:
        raise CountsHaveProblems
    if not plan.writes:
        return 0
    if plan.fingerprint != seen:
        raise CountsMoved
    options = {"batch_size": BATCH, "default_user": by, "default_change_reason": "counted"}
    beside = Hashtag.with_words.filter(in_vocabulary=False)  # words of authors until now
    words = beside.in_bulk([count.name for count in plan.new], field_name="name")
    for count in plan.new:
        if word := words.get(count.name):
            for name, value in (count.says | {"in_vocabulary": True}).items():
                setattr(word, name, value)
    fields = (*COUNTED, "in_vocabulary")
    bulk_update_with_history(list(words.values()), Hashtag, fields, manager=Hashtag.with_words, **options)
    new = [Hashtag(name=count.name, **count.says) for count in plan.new if count.name not in words]
    try:
        bulk_create_with_history(new, Hashtag, **options)
    except IntegrityError as error:  # another import added the same new hashtag at the same moment
        raise CountsMoved from error
    row_of = Hashtag.objects.in_bulk([count.name for count in plan.changed], field_name="name")
    for count in plan.changed:
        for name, value in count.says.items():
            setattr(row_of[count.name], name, value)
    bulk_update_with_history(list(row_of.values()), Hashtag, COUNTED, **options)
    return len(plan.writes)
