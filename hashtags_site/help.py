"""What the question mark of each page says: two or three sentences, and words of the glossary.

The words' meanings stand in docs/glossary.md and its translations only. A page that is not named here has the
help of its list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language, gettext_noop

ROW = re.compile(r"^\| (?P<word>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE)
TRANSLATED_ROW = re.compile(
    r"^\| (?P<english>[^|]+) \| (?P<word>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE
)
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


@dataclass(frozen=True)
class Help:
    sentences: str
    words: tuple[str, ...]  # as a row of the glossary begins

    @property
    def meanings(self) -> list[tuple[str, str]]:
        """The words and their meanings, in the page's language where its glossary has them."""
        translated, english = translated_glossary(get_language() or "en"), glossary()
        rows = ((word, (word, english[word])) for word in self.words if word in english)
        return [translated.get(word, row) for word, row in rows]


MAPPING = Help(
    gettext_noop(
        "The mapping gives each scene class a hashtag, or other. Nothing that you change here changes what "
        "a model says today: runs learn from a release, which you publish when the mapping is good."
    ),
    ("scene class", "synset, sense", "hypernym", "confirmed, imported, undecided", "release"),
)
RELEASES = Help(
    gettext_noop(
        "A release is what a run learns from. It never changes, so old figures stay true. Publish a new one "
        "after you have changed the mapping, then train or relabel."
    ),
    ("release", "scene class", "relabel"),
)
OPINIONS = Help(
    gettext_noop(
        "A second person maps the same classes without seeing the first answers. Where they differ, a class "
        "is hard or an answer is wrong; settle those first."
    ),
    ("opinion", "settle"),
)
PHOTO_SETS = Help(
    gettext_noop(
        "A photo set is a folder of photos sorted by scene class. A part of it is held out from training "
        "and shows how good a run is."
    ),
    ("photo set", "test photos, held-out photos", "partition, fold"),
)
RUNS = Help(
    gettext_noop(
        "A run trains one network. Read its figures on the held-out photos only: how well it knows the "
        "photos it learned from says little. With few held-out photos the interval is wide, and two runs "
        "may not really differ."
    ),
    ("run", "recipe, preset", "test photos, held-out photos", "accuracy", "balanced accuracy", "coverage"),
)
SWEEPS = Help(
    gettext_noop(
        "A sweep is several runs that are launched together and read as one table. Vary one thing at a "
        "time, or the same recipe over several splits to see how much chance does."
    ),
    ("sweep", "run", "partition, fold"),
)
MODELS = Help(
    gettext_noop(
        "A model is the export of a run. The active one answers on this site and by the API. If a new one "
        "turns out worse, roll back: it takes a second."
    ),
    ("model", "promote, roll back", "threshold", "target precision", "coverage", "out of date, stale"),
)
TRY = Help(
    gettext_noop(
        "Show a photo to the active model. It suggests a hashtag, or says why it stays silent. Your photo "
        "is not kept."
    ),
    ("threshold", "abstain, stay silent", "out of scope"),
)
CHECK = Help(
    gettext_noop(
        "Ask whether the hashtags of a post fit its photo. Doubtful is an honest answer: then neither limit "
        "is reached."
    ),
    ("check", "verdict", "falsely accused"),
)
CAMPAIGNS = Help(
    gettext_noop(
        "A campaign asks people about a model's suggestions on new photos, or about the hashtags of the "
        "photos' authors. Known answers and wrong hashtags show who looks carefully."
    ),
    ("campaign", "authors' campaign", "question", "vote", "gold photo, known answer", "control", "set aside"),
)
INTAKES = Help(
    gettext_noop(
        "New photos come in here, on terms that you state once for all of them. A photo that is withdrawn "
        "is gone everywhere, for good."
    ),
    ("intake", "near duplicate", "withdraw"),
)
AGREEMENT = Help(
    gettext_noop(
        "How often people find the suggested hashtag fitting. Compare two figures only if their intervals "
        "are apart, and look at the unjudged share before you trust either."
    ),
    ("agreement", "headline", "unjudged", "stratum", "yes-saying", "rival"),
)
IN_USE = Help(
    gettext_noop(
        "What became of suggestions on the networks that report it. People who accept a suggestion did not "
        "judge it: that is what Agreement is for."
    ),
    ("answer", "feedback", "acceptance", "drift", "trial, challenger"),
)
JOBS = Help(
    gettext_noop(
        "Long work runs in the background, once, and goes on after a restart. A failed job says what to do; "
        "try it again after that."
    ),
    ("job, lease, fencing token", "slot"),
)
PEOPLE = Help(
    gettext_noop(
        "Administrators invite people, give roles and make tokens for programs. The history says who did "
        "what."
    ),
    ("administrator, admin", "invitation", "token, key, scope", "deed"),
)
HOME = Help(
    gettext_noop(
        "The six stations are the way of a hashtag: from a scene class, by training, to people who say "
        "whether it fits. The marked one is what to do next."
    ),
    ("scene class", "release", "run", "model", "campaign", "agreement"),
)
NOTICES = Help(
    gettext_noop(
        "What happened while you were away: runs that ended, campaigns that have their votes, models that "
        "were promoted, workers that are gone. Other programs can be told by hooks."
    ),
    ("notice, event", "hook, delivery"),
)
# By the beginning of the path; the longest that fits counts.
PAGES = {
    "/mapping/": MAPPING,
    "/mapping/releases/": RELEASES,
    "/mapping/opinions/": OPINIONS,
    "/mapping/settle/": OPINIONS,
    "/trainer/photo-sets/": PHOTO_SETS,
    "/trainer/photos/": PHOTO_SETS,
    "/trainer/runs/": RUNS,
    "/trainer/sweeps/": SWEEPS,
    "/trainer/models/": MODELS,
    "/trainer/suggest/": TRY,
    "/check/": CHECK,
    "/validation/campaigns/": CAMPAIGNS,
    "/validation/intakes/": INTAKES,
    "/validation/photos/": INTAKES,
    "/validation/agreement/": AGREEMENT,
    "/in-use/": IN_USE,
    "/jobs/": JOBS,
    "/health/doctor/": JOBS,
    "/people/": PEOPLE,
    "/setup/": PEOPLE,
    "/search/": HOME,
    "/notices/": NOTICES,
}


def help_for(path: str) -> Help | None:
    if path == "/":
        return HOME
    fitting = [start for start in PAGES if path.startswith(start)]
    return PAGES[max(fitting, key=len)] if fitting else None


@cache
def glossary() -> dict[str, str]:
    """Word → meaning, without Markdown. Empty where the documentation is not installed."""
    rows = {row["word"].strip(): row["meaning"].strip() for row in ROW.finditer(_read("glossary.md"))}
    return {word: meaning for word, meaning in rows.items() if word not in ("word", "---")}


@cache
def translated_glossary(language: str) -> dict[str, tuple[str, str]]:
    """English word → word and meaning in another language."""
    rows = TRANSLATED_ROW.finditer(_read(f"glossary.{language}.md"))
    return {row["english"].strip(): (row["word"].strip(), row["meaning"].strip()) for row in rows}


def _read(name: str) -> str:
    """A page of the documentation without links and code marks."""
    file = settings.BASE_DIR / "docs" / name
    text = file.read_text() if file.is_file() else ""
    return LINK.sub(r"\1", text).replace("`", "")


def page_help(request: HttpRequest) -> dict[str, Callable[[], Help | None]]:
    """For the templates; computed only where a page shows it."""
    return {"page_help": lambda: help_for(request.path)}
