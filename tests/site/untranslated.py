"""Finds words for people that no translation reaches: in templates, in Python, and on rendered pages.

What stays English on purpose is in `ENGLISH` and `LEFT`. What a program says to programs and to those who run
the site (logs, commands, the API, files) is not looked at: `SKIPPED`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from django.template.base import DebugLexer, Token, TokenType

from hashtags_site.help import glossary
from people.scopes import SCOPES
from people.words import WORDS
from scripts.messages import ROOT, sources

# Names, units and code: the same in every language.
ENGLISH = re.compile(
    r"\b(Scenetag|SUN397|WordNet|CLIP|ViT-B/16|EfficientNet-Lite2|ImageNet|PNG|SVG|CSV|TSV|JSON|SSSOM|API|ONNX|SQLite"
    r"|PostgreSQL|Redis|GPU|curl|Python|JavaScript|OpenAPI|Instagram|Enter|Ctrl-K|ARI|NMI|UTC|px|id|http|https)\b"
)
# Parts of an app that speak to programs and to those who run the site. What a job's page shows is looked for
# in all files: `words_said`.
SKIPPED = (
    *(
        "/api/",
        "/migrations/",
        "/management/",
        "/engine/",
        "/lexicon/",
        "/suggester/",
        "/backup/",
        "/metrics/",
    ),
    *(
        "/formats/",
        "/front/",
        "settings",
        "wsgi.py",
        "celery.py",
        "logs.py",
        "valkey.py",
        "apps.py",
        "urls.py",
    ),
)
ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "label", "data-name")
SILENT = ("script", "style", "code", "pre", "kbd")  # elements whose text is code
LETTERS = re.compile(r"[^\W\d_]{2,}")
WORDY = (
    "label",
    "help",
    "title",
    "words",
    "what",
    "text",
    "placeholder",
)  # of {% include … with label="…" %}


def is_english(words: str) -> bool:
    """Whether there is anything left to translate."""
    words = re.sub(r"&#?\w+;|(^|\s)[#/][\w/#]+", " ", words)  # entities, examples of hashtags and paths
    return bool(LETTERS.search(ENGLISH.sub("", words)))


# --- Templates --------------------------------------------------------------------------------
class _Page(HTMLParser):
    """Collects text and attributes of a template without its tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[tuple[int, str]] = []
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0]
        kind = dict(attrs).get("type")
        for name, value in attrs:
            is_words = name in ATTRIBUTES or (name == "value" and tag == "input" and kind == "submit")
            if is_words and value and is_english(value):
                self.found.append((line, f"{name}={value!r}"))
        if tag in SILENT:
            self.silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.silent and self.silent[-1] == tag:
            self.silent.pop()

    def handle_data(self, data: str) -> None:
        if not self.silent and is_english(data):
            self.found.append((self.getpos()[0], " ".join(data.split())))


def words_in_template(text: str) -> list[tuple[int, str]]:
    """Line and words of every text outside {% translate %} and {% blocktranslate %}."""
    left: list[str] = []
    found: list[tuple[int, str]] = []
    inside = ""  # the tag whose end is awaited
    for token in DebugLexer(text).tokenize():
        source = _source(text, token)
        name = token.contents.split()[0] if token.token_type == TokenType.BLOCK and token.contents else ""
        if inside:
            inside = "" if name == f"end{inside}" else inside
            keep = False
        elif (name == "block" and token.contents.endswith("_class")) or name in (
            "blocktranslate",
            "comment",
        ):  # of CSS
            inside, keep = name, False
        else:
            keep = token.token_type == TokenType.TEXT
            found += [(token.lineno or 0, words) for words in _literals(token, name)]
        left.append(source if keep else "\n" * source.count("\n"))
    page = _Page()
    page.feed("".join(left))
    page.close()
    return sorted(found + page.found)


def _source(text: str, token: Token) -> str:
    start, end = token.position or (0, 0)
    return text[start:end]


def _literals(token: Token, name: str) -> Iterator[str]:
    """Words in the arguments of tags and filters."""
    if token.token_type == TokenType.VAR or name in ("with", "include", "firstof"):
        if "|pluralize" in token.contents:
            yield f"{token.contents}: use blocktranslate count"
        for filter_, words in re.findall(r"\|(default|default_if_none|yesno):\"([^\"]*)\"", token.contents):
            if is_english(words):
                yield f"|{filter_}:{words!r}"
    if name in ("with", "include"):
        for key, words in re.findall(r"(\w+)=\"([^\"]*)\"", token.contents):
            if (key in WORDY or " " in words) and is_english(words):
                yield f"{key}={words!r}"


# --- Python -----------------------------------------------------------------------------------
GETTEXT = re.compile(r"^(_|n?p?gettext(_lazy|_noop)?|Text)$")
# Calls whose words nobody reads on a page.
UNREAD = re.compile(
    r"^(log|logger|logging|warnings|re|cursor|RawSQL|RunSQL|Func|Check|import_module|get_template|render|reverse"
    r"|warn|debug|info|execute|compile|AssertionError|NotImplementedError|ImproperlyConfigured|strftime|F|Q)$"
)
NAMED = (
    "label",
    "help_text",
    "empty_label",
    "verbose_name",
    "placeholder",
    "title",
    "words",
    "action",
    "advice",
)
SENTENCE = re.compile(r"[^\W\d_]{2,}[,;:]? [^\W\d_]+|^[A-Z][a-z]+ ?\.$")
TECHNICAL = re.compile(
    r"[a-z]=|[{<>_/\\]{2,}|^[\w.]+/[\w.]+|^\W*(SELECT|INSERT|UPDATE|WITH|CREATE|PRAGMA|ORDER)\b|--\w|__"
)


class _Module(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    def visit_Call(self, node: ast.Call) -> None:
        name, owner = _name(node.func), _name(getattr(node.func, "value", None))
        if name == "Text":  # what fills it in may hold words, too
            for keyword in node.keywords:
                self.visit(keyword.value)
        if GETTEXT.match(name) or UNREAD.match(name) or UNREAD.match(owner):
            return
        for keyword in node.keywords:
            if keyword.arg in NAMED and (words := _constant(keyword.value)):
                self._note(node, words, is_named=True)
        if owner == "messages" and len(node.args) > 1:
            self._note(node, _constant(node.args[1]), is_named=True)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._note(node, node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_body(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_body(node)

    def visit_Module(self, node: ast.Module) -> None:
        self._visit_body(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_Subscript(self, node: ast.Subscript) -> None:
        pass  # keys and types

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def _visit_body(self, node: ast.Module | ast.ClassDef | ast.FunctionDef) -> None:
        for number, child in enumerate(node.body):
            is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if not (number == 0 and is_docstring):
                self.visit(child)

    def _note(self, node: ast.expr, words: str, *, is_named: bool = False) -> None:
        is_read = is_named or bool(SENTENCE.search(words))
        if is_read and is_english(words) and not TECHNICAL.search(words):
            self.found.append((node.lineno, " ".join(words.split())))


def _name(node: ast.AST | None) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _constant(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def words_in_python(text: str) -> list[tuple[int, str]]:
    """Line and words of every string that reads like a sentence and is in no call of gettext."""
    module = _Module()
    module.visit(ast.parse(text))
    return sorted(set(module.found))


# --- What a job says --------------------------------------------------------------------------
# Calls whose words are kept in English and shown on a page later, each with the arguments that hold them.
SAID: dict[str, tuple[int | str, ...]] = {
    "announce": ("title",),
    "beat": (2, "message"),
    "enqueue": ("title",),
    "give_back": (0, "message"),
    "Part": (0, "label"),
    "work_off": ("message",),
    "RecipeError": (1, "message", "hint"),  # the first is the name of a setting
    **dict.fromkeys(("Busy", "Died", "JobError", "ShardsFailed"), (0, 1, "message", "hint")),
    "StorageFailure": (0, "cause"),
}
EVENTS = ("error", "stopped_early", "waiting")  # of the engine, whose words are shown
IN_EVENTS = ("message", "hint", "reason")
CLASS = re.compile(r"^class (\w+)\((?:\w+, )*?(\w+)", re.MULTILINE)


@cache
def errors_of_engine() -> frozenset[str]:
    """The names of EngineError and of all that derive from it."""
    text = "\n".join(path.read_text() for path in (ROOT / "trainer/engine").rglob("*.py"))
    found, before = {"EngineError"}, 0
    while len(found) > before:
        before = len(found)
        found |= {name for name, base in CLASS.findall(text) if base in found}
    return frozenset(found)


def words_said(text: str) -> list[tuple[int, str]]:
    """Line and words of every plain string that a job, or an error or event of the engine, says."""
    tree = ast.parse(text)
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                assigned.setdefault(_name(target), []).append(node.value)
    found = set[tuple[int, str]]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for argument in _said(node):
                found |= set(_plain(argument, assigned))
    return sorted(found)


def _said(node: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call that hold words for people."""
    name = _name(node.func)
    places = SAID.get(name, ())
    if not places and name in errors_of_engine():
        places = (0, "message", "hint")
    elif name == "emit" and node.args and _constant(node.args[0]) in EVENTS:
        places = IN_EVENTS
    # Strings put together to fill in a text, at once or as a name that an object keeps until then.
    elif name in ("Text", "cls"):
        values = [*(node.args if name == "cls" else ()), *(keyword.value for keyword in node.keywords)]
        yield from (value for value in values if isinstance(value, ast.JoinedStr | ast.BoolOp))
    for place in places:
        if isinstance(place, int):
            yield from node.args[place : place + 1]
        else:
            yield from (keyword.value for keyword in node.keywords if keyword.arg == place)


def _plain(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> Iterator[tuple[int, str]]:
    """The plain strings that an expression may be."""
    if isinstance(node, ast.Name):
        for value in assigned.pop(node.id, ()):  # once: a name may be assigned to itself
            yield from _plain(value, assigned)
    elif isinstance(node, ast.IfExp):
        yield from (*_plain(node.body, assigned), *_plain(node.orelse, assigned))
    elif isinstance(node, ast.BoolOp):
        yield from (found for value in node.values for found in _plain(value, assigned))
    elif isinstance(node, ast.BinOp):
        yield from (*_plain(node.left, assigned), *_plain(node.right, assigned))
    elif isinstance(node, ast.Call) and _name(node.func) == "joined_texts":
        yield from (found for value in node.args for found in _plain(value, assigned))
    elif isinstance(node, ast.Constant | ast.JoinedStr):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        words = " ".join(" ".join(map(_constant, parts)).split())
        if is_english(words):
            yield node.lineno, words


# --- An app -----------------------------------------------------------------------------------
def find(app: str) -> list[str]:
    """ "path:line: words" for each text of the app without a translation."""
    found = []
    for path in sources(app):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        words = words_said(text) if path.suffix == ".py" else []
        if not any(part in f"/{name}" for part in SKIPPED):
            words += (words_in_python if path.suffix == ".py" else words_in_template)(text)
        found += [f"{name}:{line}: {one}" for line, one in sorted(set(words)) if not _is_left(path, one)]
    return found


KEYS = {*WORDS, *SCOPES}  # of deeds and of tokens
# Words that stay English, by file.
LEFT: dict[str, tuple[str, ...]] = {
    "hashtags_site/places.py": (
        "pip install",
        "it must be like",
        "keys do not belong",
        "cannot be the name",
        "it has “",
        "but only",
    ),
    "hashtags_site/places_check.py": ("but boto3 is not installed",),  # manage.py check
    "trainer/registry/answer_cache.py": ("answer:",),  # a key
    "trainer/registry/files.py": ("The model", "is deleted", "The bucket has"),  # errors of a storage
    "trainer/shared.py": ("in the bucket", "is damaged"),  # to the log, errors of a storage
    "validation/views/agreement.py": ("Agreement by",),  # the title of a file
    "validation/views/thresholds.py": ("made-up votes",),  # the title of a file
    "mapping/views/hashtags.py": ("per hashtag",),  # titles of files
    "hashtags_site/demo.py": ("trainer admin", "Sample photos", "Photo set “", "new photos"),  # a command
    "hashtags_site/doctor/checks.py": ("read committed", "photo sets", "static files", "python manage.py"),
    "hashtags_site/guessing.py": ("Too many wrong passwords.",),  # to programs; people get a page
    "hashtags_site/help.py": tuple(glossary()),  # keys: their translation is docs/glossary.ru.md
    "hashtags_site/refusals.py": ("The request cannot", "This account may", "There is no such"),  # JSON
    "hashtags_site/roles.py": ("trainer admin",),  # a key
    "mapping/acts.py": ("of these classes were changed", "All entries of an act"),  # to programs
    "mapping/files/catalogue.py": ("",),  # the data that comes with the program
    "mapping/hashtags.py": ("offered again",),  # a key of the history
    "mapping/models.py": ("scene classes", "mapping entries", "Can publish a release"),  # of no page
    "mapping/opinions/settling.py": ("At least two opinions",),  # the view asks first
    "mapping/releases.py": (
        "left out",
        "A release needs a note",
        "publish release",
    ),  # keys; the form asks first
    "jobs/machines.py": ("fake GPU",),
    "jobs/work.py": ("disk is full", "disk i/o", "readonly database", "no space", "could not extend"),
    # Stored beside the status of a delivery, or in the history.
    "notices/courier.py": ("No whole answer", "a redirect", "not a status", "It answered", "in a row failed"),
    "serving/feedback.py": ("",),  # to programs
    "serving/for_trainer.py": ("with feedback",),  # as those of validation
    "serving/models/tallies.py": ("DO UPDATE", "ON CONFLICT"),
    "serving/posts.py": (
        "may not be blank",
        "This has",
        "characters; at most",
        "are allowed",
        "can be printed",
        "of an author",
    ),
    "serving/shadow.py": ("both silent", "only active", "only shadow"),  # keys
    "serving/trials.py": ("% of the photos", "promotes one on", "both silent", "only active", "only shadow"),
    "serving/views/in_use.py": ("Acceptance by",),  # the title of a file
    "trainer/forms.py": ("of the thesis",),  # in the name of a sweep, which is data
    "trainer/models.py": ("Can ask for",),  # of no page
    "trainer/registry/cards.py": ("",),  # files
    "trainer/registry/check_model.py": ("",),  # the output of a program
    "trainer/registry/export.py": ("promised each",),  # in names of models
    "trainer/registry/packages.py": (  # of a manifest, whose format is described in English; names of models
        *("manifest.json", "words of 50", "all different", "an object", "a number for each", "of its labels"),
        *("above zero", "64 hexadecimal", "at most", "one of its labels", "a kind, a", "a base with"),
        *(
            "a slope, a",
            "among its labels",
            "” must be",
            "less nested",
            "a smaller number",
            "of numbers other",
        ),
        *("of numbers other", "squeeze or crop", "Imported model"),
    ),
    "trainer/registry/relabel.py": ("no note",),  # data of a model
    "trainer/registry/serving.py": ("Answers of", "Seconds for a photo", "Uses of a network"),  # metrics
    "trainer/registry/starter.py": ("Starter model",),  # names of models
    "trainer/runs/figures.py": ("per hashtag",),  # files
    "people/accounts.py": ("no role", "From the server"),  # in the history
    "people/authentication.py": ("",),  # to programs
    "people/letters.py": ("The account is deactivated.",),  # beside what the mail server says
    "people/models.py": ("Profile of",),  # of no page
    "people/signin/openid.py": ("id_token", "The provider's configuration"),  # to the log
    "people/signin/views.py": ("codes of an app",),  # in the history
    "people/teams.py": ("no role",),  # in the history
    # Deeds, what is stored in English, and what only programs see.
    "validation/agreement/takeover.py": (
        "thresholds from",
        "With these thr",
        "of the ",
        "photos get a",
        "the votes of",
    ),
    "validation/campaigns/acts.py": ("Without a model", "at least one photo", "campaign", "publish result"),
    "validation/campaigns/posted.py": ("hashtags of authors",),
    "validation/campaigns/rules.py": ("Not rules of",),
    "validation/for_trainer.py": (
        "more campaign",
        "authors' hashtags",
        "made-up crowd",
    ),
    "validation/forms/vote.py": ("Send exactly",),
    "validation/made_up.py": ("Made-up votes on",),
    "validation/models/answers.py": ("does not fit",),
    "validation/models/campaigns.py": ("No model suggests",),
    "validation/models/questions.py": ("does not fit",),
    "validation/photos/intake.py": ("Choose either files",),
    "validation/photos/intake_files.py": ("no terms", "one row"),
    "validation/photos/intake_sources.py": ("in front",),  # a key
    "validation/photos/notes.py": ("in front", "no terms", "one row"),  # keys
    "validation/photos/uploads.py": ("before the beginning", "it is shorter"),
    "validation/prepared.py": ("ON CONFLICT",),
    "validation/sample.py": ("Sample photos", "The sample campaign"),
    "validation/statistics/dawid_skene.py": ("no votes",),
    "validation/statistics/plan.py": ("A share and a width",),
    "validation/templates/validation/_examples.html": ("CC BY",),
    "validation/templates/validation/_rules.html": ("shares=",),  # names of fields
    "validation/templates/validation/new_intake.html": ("terms=", "plain=", "others="),
    "validation/views/public.py": ("made-up votes", "noindex"),  # of the figure, and a header
    "validation/views/uploads.py": (
        "header",
        "Upload-Length",
        "content type",
        "The piece ended",
        "tus",
        "Only version",
        "stored.",
    ),
    "validation/voting/assignment.py": ("DO UPDATE",),
    "validation/voting/votes.py": ("Votes kept;", "is not an answer", "DO NOTHING", "DO UPDATE"),
}


def _is_left(path: Path, words: str) -> bool:
    return words in KEYS or any(one in words for one in LEFT.get(path.relative_to(ROOT).as_posix(), ()))
