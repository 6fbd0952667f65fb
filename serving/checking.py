"""Are these hashtags at home on this photo? A verdict for each, and a score for the whole post."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, npgettext

from mapping.hashtags import blocked_names
from mapping.models import OTHER
from serving.spelling import How, understand
from trainer.models import TrainedModel
from trainer.registry.serving import suggester

if TYPE_CHECKING:
    from trainer.engine.evaluation.checks import Check
    from trainer.engine.serving.predict import Fitting

Verdict = Literal["fits", "doubtful", "does_not_fit", "unknown"]
VERDICTS: tuple[Verdict, ...] = ("fits", "doubtful", "does_not_fit", "unknown")


@dataclass(frozen=True)
class Answer:
    """One hashtag of a post. ``probability`` and ``understood_as`` are None if nothing is known of it."""

    hashtag: str
    verdict: Verdict
    probability: float | None
    reason: str
    understood_as: str | None = None
    understood_by: How | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "hashtag": self.hashtag,
            "verdict": self.verdict,
            "probability": self.probability,
            "reason": self.reason,
            "understood_as": self.understood_as,
            "understood_by": self.understood_by,
        }


@dataclass(frozen=True)
class Score:
    """A post's hashtags by verdict. Spellings of one hashtag count once, and unknown ones not at all."""

    judged: int
    fitting: int
    doubtful: int
    not_fitting: int

    @property
    def share(self) -> float | None:
        """The share of hashtags that do not fit; None if none could be judged."""
        return round(self.not_fitting / self.judged, 4) if self.judged else None

    @property
    def sentence(self) -> str:
        if not self.judged:
            return _("The model knows none of these hashtags.")
        judged = npgettext("of", "%(n)s popular hashtag", "%(n)s popular hashtags", self.judged)
        hashtags = judged % {"n": self.judged}
        if not self.not_fitting:
            return _("None of %(hashtags)s is out of place.") % {"hashtags": hashtags}
        words = ngettext(
            "%(n)s of %(hashtags)s does not belong.", "%(n)s of %(hashtags)s do not belong.", self.not_fitting
        )
        return words % {"n": self.not_fitting, "hashtags": hashtags}

    def as_dict(self) -> dict[str, Any]:
        return {
            "judged": self.judged,
            "fitting": self.fitting,
            "doubtful": self.doubtful,
            "not_fitting": self.not_fitting,
            "share": self.share,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Post:
    """The verdicts on one photo's hashtags, in the order in which they were sent. If the photo cannot be
    judged, there are none, and ``problem`` says why.
    """

    file: str
    answers: tuple[Answer, ...] = ()
    problem: str | None = None

    @property
    def score(self) -> Score:
        verdict_of = {
            answer.understood_as: answer.verdict for answer in self.answers if answer.probability is not None
        }
        fits, doubtful, wrong = (list(verdict_of.values()).count(verdict) for verdict in VERDICTS[:3])
        return Score(len(verdict_of), fits, doubtful, wrong)

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "hashtags": [answer.as_dict() for answer in self.answers],
            "score": self.score.as_dict(),
        }


def check(
    photos: Iterable[tuple[Any, Sequence[str]]], *, model: TrainedModel | None = None, threads: int = 1
) -> Iterator[Post]:
    """One Post per photo (path, bytes, file) and its hashtags, in order.

    Raises immediately NoActiveModel, and NoChecksError if the model was exported before models could check.
    What is blocked is read again for every photo.
    """
    network = suggester(model=model, threads=threads)
    pairs = list(photos)
    fittings = network.check(photo for photo, _ in pairs)
    checks = network.checks or {}
    return (
        _judge(fitting, hashtags, network.labels, checks)
        for fitting, (_, hashtags) in zip(fittings, pairs, strict=True)
    )


def _judge(
    fitting: Fitting, hashtags: Sequence[str], labels: Sequence[str], checks: dict[str, Check]
) -> Post:
    if fitting.reason:
        return Post(fitting.file, problem=fitting.reason)
    blocked = blocked_names()
    return Post(
        fitting.file,
        tuple(_answer(hashtag, fitting, labels, checks, blocked) for hashtag in hashtags),
    )


def _answer(
    written: str,
    fitting: Fitting,
    labels: Sequence[str],
    checks: dict[str, Check],
    blocked: Collection[str],
) -> Answer:
    meaning = understand(written, labels)
    name = meaning.hashtag
    if name is None or name not in checks:
        return Answer(written, "unknown", None, _("The model does not know this hashtag."))
    if name in blocked:
        reason = _("#%(name)s is blocked: it is not offered, so it is not judged.") % {"name": name}
        return Answer(written, "unknown", None, reason, name, meaning.how)
    probability = round(fitting.probabilities[name], 4)
    verdict = checks[name].verdict(fitting.probabilities[name])
    reason = _reason(name, verdict, [label for label in fitting.ranking if label not in blocked])
    return Answer(written, verdict, probability, reason, name, meaning.how)


def _reason(name: str, verdict: Verdict, ranking: Sequence[str]) -> str:
    if verdict == "fits":
        return _("The photo looks like #%(name)s.") % {"name": name}
    if verdict == "doubtful":
        return _("#%(name)s is possible, but the photo does not settle it.") % {"name": name}
    likeliest = ranking[0]
    if likeliest in (name, OTHER):
        return _("The photo does not look like #%(name)s.") % {"name": name}
    words = _("The photo does not look like #%(name)s; it looks more like #%(likeliest)s.")
    return words % {"name": name, "likeliest": likeliest}
