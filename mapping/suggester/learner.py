"""The suggester of this process. It learns from confirmed rows only.

There is one learner for the mapping and one for each opinion. Before it answers, it checks whether the
history has grown, and learns the changes in a thread. Learning a few hundred classes is so quick that the
page waits for it; with thousands of classes, the page gets the answer of a moment ago. An opinion learns from
its own rows only, so that nobody is influenced by the answers of others.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from django.conf import settings
from django.db import connections
from django.db.models import Q
from django.utils.translation import gettext as _

from mapping import downstream, hashtags
from mapping.lexicon import embeddings, senses, wordnet
from mapping.models import OTHER, Hashtag, MappingEntry, Opinion, SceneClass
from mapping.suggester.facts import ClassFacts, Embed, HashtagFacts
from mapping.suggester.looks import coordinates
from mapping.suggester.reasons import CLOSE, GUESS, LOOKS_LIKE
from mapping.suggester.suggest import Suggester

PATIENCE = 0.04  # seconds that the answer to a key waits for learning before it uses the old state
REST = 5.0  # seconds of pause after learning thousands of classes, so that pages get processor time
AT_ONCE = 2_000  # a page waits for learning if there are at most this many classes
MAX_LEARNERS = 4  # in one process
MAX_CHANGES = 1_000  # changed rows; with more of them, the suggester is rebuilt
LOOKALIKES = 2  # shown beside a class
SHOWN = 3  # hashtags suggested with a reason: keys 1 to 3
FURTHER = 6  # shown without a reason: keys 4 to 9
MAX_REPLACED = 20  # changed rows with another sense; with more of them, the suggester is rebuilt


RefusedAnswers = Mapping[int, Collection[str]]  # id of a scene class → answers that a curator unticked


@dataclass(frozen=True)
class Choice:
    hashtag: str
    reason: str
    probability: float

    @property
    def is_guess(self) -> bool:
        """Whether no confirmed class is behind it, and it is not the class's own word either."""
        return self.reason == _(GUESS) or (
            self.reason.startswith(_(CLOSE)) and _(LOOKS_LIKE) not in self.reason
        )


@dataclass(frozen=True)
class Lookalike:
    """A confirmed class whose photos look much like those of the class in question."""

    key: str
    name: str
    label: str


@dataclass(frozen=True)
class Offer:
    """The suggestions for a class: hashtags, best first, and the names of those that come next.
    words: a remark if there are none.
    """

    hashtags: tuple[Choice, ...] = ()
    further: tuple[str, ...] = ()
    other: float = 0.0
    abstains: bool = False
    words: str = ""
    lookalikes: tuple[Lookalike, ...] = ()  # nearest first

    @property
    def answers(self) -> list[tuple[str, Choice | None]]:
        """Key and answer in the order of a page (None: other): the likeliest first, guesses last."""
        answers = sorted((*self.hashtags, None), key=lambda one: -(one.probability if one else self.other))
        answers.sort(key=lambda one: one is not None and one.is_guess)
        numbers = count(1)
        return [(str(next(numbers)) if one else "o", one) for one in answers]

    @property
    def further_answers(self) -> list[tuple[str, str]]:
        """Key and name of the further hashtags."""
        return [(str(key), name) for key, name in enumerate(self.further, len(self.hashtags) + 1)]


@dataclass(frozen=True)
class Stamp:
    """The state that was learned: the newest history lines of the entries and of the hashtags, and what the
    photos look like.
    """

    entries: int
    hashtags: int
    looks: str


class Learner:
    """The suggester of the mapping, or of one opinion."""

    def __init__(self, opinion_id: int | None) -> None:
        self.opinion_id = opinion_id
        self.stamp = Stamp(-1, -1, "")
        self.ready = False
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self.wanted = False  # a group page was viewed after the answers to all classes were computed
        self._answers: dict[int, tuple[str, float]] | None = None
        self._without: frozenset[str] = frozenset()  # the hashtags that were blocked when it answered
        self._suggester: Suggester
        self._place: dict[int, int] = {}  # id of a scene class → its place in the suggester
        self._facts: list[ClassFacts] = []
        self._confirmed: dict[int, str] = {}
        self._names: set[str] = set()  # possible answers

    @property
    def size(self) -> int:
        return len(self._place)

    def refresh(self, stamp: Stamp) -> None:
        """Learn all changes up to this stamp. Raises WordNetMissing."""
        with self.lock:
            if self.stamp == stamp:
                return
            same_facts = (stamp.hashtags, stamp.looks) == (self.stamp.hashtags, self.stamp.looks)
            if self.ready and same_facts:
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
        has_confirmed = Q(entries__opinion=self.opinion_id, entries__status=MappingEntry.Status.CONFIRMED)
        tags = hashtags.offered_hashtags().distinct() | Hashtag.objects.filter(has_confirmed).distinct()
        choices = [HashtagFacts(tag.name, float(tag.posts)) for tag in tags]
        self._names = {OTHER, *(tag.name for tag in choices)}
        looks = downstream.get().looks()
        seen = coordinates([looks.get(one.key) for one in self._facts])
        self._suggester = Suggester(self._facts, choices, wordnet.nouns(), embedder(), seen)
        self._confirmed = self._labels(rows)
        self._suggester.learn(self._confirmed)

    def _labels(self, rows: list[MappingEntry]) -> dict[int, str]:
        confirmed_rows = (row for row in rows if row.status == MappingEntry.Status.CONFIRMED)
        return {self._place[row.scene_class_id]: row.label or OTHER for row in confirmed_rows}

    def _learn_changes(self) -> None:
        history = MappingEntry.history.filter(opinion=self.opinion_id, history_id__gt=self.stamp.entries)
        scene_class_ids = set(history.values_list("scene_class_id", flat=True))
        if len(scene_class_ids) > MAX_CHANGES or scene_class_ids - self._place.keys():
            return self._build()
        rows = MappingEntry.everywhere.filter(opinion=self.opinion_id, scene_class__in=scene_class_ids)
        entries = list(rows.select_related("scene_class", "hashtag"))
        facts_by_place = {self._place[row.scene_class_id]: facts(row) for row in entries}
        replacements = {
            place: new_facts for place, new_facts in facts_by_place.items() if new_facts != self._facts[place]
        }
        if len(replacements) > MAX_REPLACED:
            return self._build()
        for place, new_facts in replacements.items():
            self._facts[place] = new_facts
            self._suggester.replace(place, new_facts)
        for row in entries:
            self._confirmed.pop(self._place[row.scene_class_id], None)
        self._confirmed |= self._labels(entries)
        try:
            self._suggester.learn(self._confirmed)
        except KeyError:  # a hashtag that was not offered when the suggester was built
            self._build()
        return None

    def suggest(self, scene_class: int) -> Offer:
        place = self._place.get(scene_class)
        if place is None:
            return Offer()
        suggestions = self._suggester.suggest(place, SHOWN, further=FURTHER, without=hashtags.blocked_names())
        choices = tuple(Choice(one.hashtag, one.reason, one.probability) for one in suggestions.hashtags)
        return Offer(
            choices,
            suggestions.further,
            suggestions.other,
            suggestions.abstains,
            lookalikes=tuple(self._lookalikes(place)),
        )

    def _lookalikes(self, place: int) -> Iterator[Lookalike]:
        """Without a class whose answer another thread has just taken back, and is learning."""
        for at in self._suggester.lookalikes(place)[:LOOKALIKES]:
            if label := self._confirmed.get(at):
                yield Lookalike(self._facts[at].key, self._facts[at].name, label)

    def answers(self, refused_answers: RefusedAnswers | None = None) -> dict[int, tuple[str, float]] | None:
        """Id of a scene class → its most likely answer and the probability.

        refused_answers: answers that a curator unticked; the class gets the next likely answer. With
        thousands of classes, the answers are those of the last ask_all, or None before the first one has
        finished, and a refused or blocked answer has probability 0.
        """
        blocked = hashtags.blocked_names()
        if self.size <= AT_ONCE and (self._answers is None or self._without != blocked):
            self.ask_all()
        self.wanted = True
        if self._answers is None:
            return None
        if self.size > AT_ONCE:
            refused = refused_answers or {}
            return {
                pk: (label, 0.0 if label in blocked or label in refused.get(pk, ()) else probability)
                for pk, (label, probability) in self._answers.items()
            }
        if not refused_answers:
            return self._answers
        places = {
            self._place[pk]: self._names.intersection(labels)
            for pk, labels in refused_answers.items()
            if pk in self._place
        }
        answers_by_place = self._suggester.answers(places, without=blocked)
        return {scene_class: answers_by_place[place] for scene_class, place in self._place.items()}

    def ask_all(self) -> None:
        """Compute the answers to all classes."""
        self._without = hashtags.blocked_names()
        answers_by_place = self._suggester.answers(without=self._without)
        self._answers = {scene_class: answers_by_place[place] for scene_class, place in self._place.items()}
        self.wanted = False


_learners: OrderedDict[int | None, Learner] = OrderedDict()
_guard = threading.Lock()


def facts(row: MappingEntry) -> ClassFacts:
    """The facts about a class before anybody answers: without its label and chosen hypernym."""
    scene, sense = row.scene_class, row.sense
    if not sense and row.status != MappingEntry.Status.CONFIRMED:
        # Without embeddings, which take too long for all classes.
        sense = senses.likeliest_sense(scene.key, scene.level1, scene.level2)
    return ClassFacts(scene.key, scene.name, sense, scene.level1, scene.level2)


def senses_of(scene: SceneClass) -> list[wordnet.Sense]:
    """The senses of a class, most likely first. Raises WordNetMissing."""
    return senses.of_class(scene.key, scene.level1, scene.level2, embed=embedder())


def embedder() -> Embed | None:
    """The embedding of the optional model, or None."""
    if not embeddings.available():
        return None
    return lambda texts: embeddings.embed(texts, settings.VAR_DIR / "embeddings")


def forget() -> None:
    """Forget everything learned. For tests, because each has a database of its own."""
    _learners.clear()


def current_learner(opinion: Opinion | None, *, wait: bool = True) -> Learner | None:
    """The learner, up to date or, with thousands of classes, slightly behind. None while it is first built.

    wait=False: it may also be behind if learning takes longer than PATIENCE. Raises WordNetMissing.
    """
    wordnet.nouns()
    opinion_id = opinion.pk if opinion else None
    with _guard:
        current = _learners.setdefault(opinion_id, Learner(opinion_id))
        _learners.move_to_end(opinion_id)
        while len(_learners) > MAX_LEARNERS:
            _learners.popitem(last=False)
    stamp = _stamp(opinion_id)
    if current.stamp == stamp:
        return current
    size = current.size or MappingEntry.everywhere.filter(opinion=opinion_id).count()
    if not settings.LEARN_BESIDE:
        current.refresh(stamp)
    else:
        thread = _refresh_beside(current)
        if size <= AT_ONCE:
            thread.join(None if wait or not current.ready else PATIENCE)
    return current if current.ready else None


def _stamp(opinion_id: int | None) -> Stamp:
    entries = MappingEntry.history.filter(opinion=opinion_id).order_by("-history_id")
    hashtags = Hashtag.history.order_by("-history_id")
    newest_entry, newest_hashtag = (
        rows.values_list("history_id", flat=True).first() or 0 for rows in (entries, hashtags)
    )
    return Stamp(newest_entry, newest_hashtag, downstream.get().looks_version())


def _refresh_beside(current: Learner) -> threading.Thread:
    """Refresh in a thread, one per learner. Changes that come in the meantime are learned by the next one."""

    def work() -> None:
        try:
            current.refresh(_stamp(current.opinion_id))
            if current.size > AT_ONCE:
                if current.wanted:
                    current.ask_all()
                time.sleep(REST)
        finally:
            connections.close_all()

    with _guard:
        if current.thread is None or not current.thread.is_alive():
            current.thread = threading.Thread(target=work, name="suggester", daemon=True)
            current.thread.start()
        return current.thread


def suggest(entry: MappingEntry, opinion: Opinion | None, *, wait: bool = True) -> Offer:
    """The best hashtags for a class. wait: see current_learner."""
    try:
        current = current_learner(opinion, wait=wait)
    except wordnet.WordNetMissing as missing:
        return Offer(words=_(str(missing)))
    if current is None:
        return Offer(words=_("The suggester is reading the classes. Suggestions appear in a moment."))
    return current.suggest(entry.scene_class_id)


def hypernym(sense: str, hashtag: str) -> str:
    """The hypernym of a sense that explains this hashtag: one with its name, else the nearest one."""
    if not sense or not hashtag or hashtag == OTHER:
        return ""
    try:
        path = wordnet.hypernym_path(sense)[1:]
    except wordnet.WordNetMissing:
        return ""
    same_name = [above.key for above in path if hashtag in above.lemmas]
    return same_name[0] if same_name else (path[0].key if path else "")
