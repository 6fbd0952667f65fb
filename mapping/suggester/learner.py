"""The suggester at work in this process: it learns from what curators confirmed, and from nothing else.

For the mapping and each opinion one learner is kept. Before it answers it looks whether the history has
grown, and learns what is new in a thread. A few hundred classes are learned in less time than anybody
notices, so the page waits a moment for that; of thousands it gets the answer of a moment ago. An opinion
learns from its own rows only, so that nobody is led by another's answers.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import connections
from django.db.models import Q

from mapping import hashtags
from mapping.lexicon import embeddings, senses, wordnet
from mapping.models import OTHER, Hashtag, MappingEntry, Opinion, SceneClass
from mapping.suggester.facts import ClassFacts, Embed, HashtagFacts
from mapping.suggester.suggest import Suggester

PATIENCE = 0.04  # seconds that an answer to a key waits for learning; then it is the answer of before
REST = 5.0  # seconds between two times of learning from thousands, so that pages get their share of the cores
AT_ONCE = 2_000  # classes; a page that is opened waits until it has learned from so many
KEPT = 4  # learners in one process
RELEARNED = 1_000  # rows changed since; with more of them all is built anew
REPLACED = 20  # of these, with another sense


Refused = Mapping[int, Collection[str]]  # id of a scene class → answers that are wrong


@dataclass(frozen=True)
class Choice:
    hashtag: str
    reason: str


@dataclass(frozen=True)
class Shown:
    """What the queue offers for a class: hashtags, best first, and words where there are none."""

    hashtags: tuple[Choice, ...] = ()
    other: float = 0.0
    abstains: bool = False
    words: str = ""


@dataclass(frozen=True)
class Stamp:
    """What the learner has seen: the newest line of the history, and of the vocabulary's."""

    entries: int
    hashtags: int


class Learner:
    """The suggester of the mapping, or of one opinion."""

    def __init__(self, opinion_id: int | None) -> None:
        self.opinion_id = opinion_id
        self.stamp = Stamp(-1, -1)
        self.ready = False
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self.wanted = False  # the group pages were looked at since all were asked
        self._answers: dict[int, tuple[str, float]] | None = None
        self._suggester: Suggester
        self._place: dict[int, int] = {}  # id of a scene class → its place in the suggester
        self._facts: list[ClassFacts] = []
        self._confirmed: dict[int, str] = {}
        self._names: set[str] = set()  # the answers it knows

    @property
    def size(self) -> int:
        return len(self._place)

    def refresh(self, stamp: Stamp) -> None:
        """Learn what is new since the last time. Raises WordNetMissing."""
        with self.lock:
            if self.stamp == stamp:
                return
            if self.ready and stamp.hashtags == self.stamp.hashtags:
                self._learn_changes()
            else:
                self._build()
            self.stamp = stamp
            self.ready = True
            if self.size <= AT_ONCE:
                self._answers = None

    def _rows(self) -> list[MappingEntry]:
        rows = MappingEntry.everywhere.filter(opinion=self.opinion_id)
        return list(rows.select_related("scene_class", "hashtag").order_by("scene_class__key"))

    def _build(self) -> None:
        rows = self._rows()
        self._facts = [facts(row) for row in rows]
        self._place = {row.scene_class_id: at for at, row in enumerate(rows)}
        used = Q(entries__opinion=self.opinion_id, entries__status=MappingEntry.Status.CONFIRMED)
        tags = hashtags.offered_hashtags().distinct() | Hashtag.objects.filter(used).distinct()
        offered = [HashtagFacts(tag.name, float(tag.posts)) for tag in tags]
        self._names = {OTHER, *(tag.name for tag in offered)}
        self._suggester = Suggester(self._facts, offered, wordnet.nouns(), embedder())
        self._confirmed = self._labels(rows)
        self._suggester.learn(self._confirmed)

    def _labels(self, rows: list[MappingEntry]) -> dict[int, str]:
        confirmed = (row for row in rows if row.status == MappingEntry.Status.CONFIRMED)
        return {self._place[row.scene_class_id]: row.label or OTHER for row in confirmed}

    def _learn_changes(self) -> None:
        history = MappingEntry.history.filter(opinion=self.opinion_id, history_id__gt=self.stamp.entries)
        changed = set(history.values_list("scene_class_id", flat=True))
        if len(changed) > RELEARNED or changed - self._place.keys():
            return self._build()
        rows = MappingEntry.everywhere.filter(opinion=self.opinion_id, scene_class__in=changed)
        found = list(rows.select_related("scene_class", "hashtag"))
        known = {self._place[row.scene_class_id]: facts(row) for row in found}
        others = {place: now for place, now in known.items() if now != self._facts[place]}
        if len(others) > REPLACED:
            return self._build()
        for place, now in others.items():
            self._facts[place] = now
            self._suggester.replace(place, now)
        for row in found:
            self._confirmed.pop(self._place[row.scene_class_id], None)
        self._confirmed |= self._labels(found)
        try:
            self._suggester.learn(self._confirmed)
        except KeyError:  # a hashtag that was not offered when this was built
            self._build()
        return None

    def suggest(self, scene_class: int, n: int) -> Shown:
        place = self._place.get(scene_class)
        if place is None:
            return Shown()
        found = self._suggester.suggest(place, n)
        choices = tuple(Choice(one.hashtag, one.reason) for one in found.hashtags)
        return Shown(choices, found.other, found.abstains)

    def answers(self, refused: Refused | None = None) -> dict[int, tuple[str, float]] | None:
        """Id of a scene class → its most likely answer and the probability.

        refused: answers that a curator took for wrong; the class gets its next likely one. Of thousands, all
        are those of the last time that all were asked, None while the first time goes on, and a refused one
        has probability 0.
        """
        if self._answers is None and self.size <= AT_ONCE:
            self.ask_all()
        self.wanted = True
        if not refused or self._answers is None:
            return self._answers
        if self.size > AT_ONCE:
            answers = self._answers
            wrong = (pk for pk in refused.keys() & answers.keys() if answers[pk][0] in refused[pk])
            return answers | {pk: (answers[pk][0], 0.0) for pk in wrong}
        places = {
            self._place[pk]: self._names.intersection(labels)
            for pk, labels in refused.items()
            if pk in self._place
        }
        found = self._suggester.answers(places)
        return {scene_class: found[place] for scene_class, place in self._place.items()}

    def ask_all(self) -> None:
        found = self._suggester.answers()
        self._answers = {scene_class: found[place] for scene_class, place in self._place.items()}
        self.wanted = False


_learners: OrderedDict[int | None, Learner] = OrderedDict()
_guard = threading.Lock()


def facts(row: MappingEntry) -> ClassFacts:
    """What may be known of the class before anybody answers: no label, no hypernym that was chosen."""
    scene, sense = row.scene_class, row.sense
    if not sense and row.status != MappingEntry.Status.CONFIRMED:
        ranked = senses.of_class(scene.key, scene.level1, scene.level2)  # embedding each gloss takes too long
        sense = ranked[0].key if ranked else ""
    return ClassFacts(scene.key, scene.name, sense, scene.level1, scene.level2)


def senses_of(scene: SceneClass) -> list[wordnet.Sense]:
    """The senses of a class, the likeliest first. Raises WordNetMissing."""
    return senses.of_class(scene.key, scene.level1, scene.level2, embed=embedder())


def embedder() -> Embed | None:
    """Of the optional model, or None."""
    if not embeddings.available():
        return None
    return lambda texts: embeddings.embed(texts, settings.VAR_DIR / "embeddings")


def forget() -> None:
    """All that was learned; for tests, whose databases are each other's past."""
    _learners.clear()


def learner(opinion: Opinion | None, *, wait: bool = True) -> Learner | None:
    """Up to date, or as of a moment ago where there are thousands of classes; None while the first is built.

    wait=False: as of a moment ago, too, when learning takes longer than PATIENCE. Raises WordNetMissing.
    """
    wordnet.nouns()
    opinion_id = opinion.pk if opinion else None
    with _guard:
        found = _learners.setdefault(opinion_id, Learner(opinion_id))
        _learners.move_to_end(opinion_id)
        while len(_learners) > KEPT:
            _learners.popitem(last=False)
    stamp = _stamp(opinion_id)
    if found.stamp == stamp:
        return found
    size = found.size or MappingEntry.everywhere.filter(opinion=opinion_id).count()
    if not settings.LEARN_BESIDE:
        found.refresh(stamp)
    else:
        thread = _refresh_beside(found)
        if size <= AT_ONCE:
            thread.join(None if wait or not found.ready else PATIENCE)
    return found if found.ready else None


def _stamp(opinion_id: int | None) -> Stamp:
    entries = MappingEntry.history.filter(opinion=opinion_id).order_by("-history_id")
    hashtags = Hashtag.history.order_by("-history_id")
    newest = [rows.values_list("history_id", flat=True).first() or 0 for rows in (entries, hashtags)]
    return Stamp(*newest)


def _refresh_beside(found: Learner) -> threading.Thread:
    """In a thread, one per learner; what comes meanwhile is learned by the next."""

    def work() -> None:
        try:
            found.refresh(_stamp(found.opinion_id))
            if found.size > AT_ONCE:
                if found.wanted:
                    found.ask_all()
                time.sleep(REST)
        finally:
            connections.close_all()

    with _guard:
        if found.thread is None or not found.thread.is_alive():
            found.thread = threading.Thread(target=work, name="suggester", daemon=True)
            found.thread.start()
        return found.thread


def suggest(entry: MappingEntry, opinion: Opinion | None, n: int = 3, *, wait: bool = True) -> Shown:
    """The n best hashtags for a class, each with its reason. wait: see learner."""
    try:
        found = learner(opinion, wait=wait)
    except wordnet.WordNetMissing as missing:
        return Shown(words=str(missing))
    if found is None:
        return Shown(words="The suggester is reading the classes; suggestions come in a moment.")
    return found.suggest(entry.scene_class_id, n)


def hypernym(sense: str, hashtag: str) -> str:
    """The notion by which this sense gets this hashtag: one that bears its name, or the next one up."""
    if not sense or not hashtag or hashtag == OTHER:
        return ""
    try:
        path = wordnet.hypernym_path(sense)[1:]
    except wordnet.WordNetMissing:
        return ""
    named = [above.key for above in path if hashtag in above.lemmas]
    return named[0] if named else (path[0].key if path else "")
