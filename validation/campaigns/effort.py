"""How many votes a campaign needs, and what each of its rules adds: before anybody is asked.

It counts as the rules are obeyed: questions are made in validation.campaigns.questions, answers are counted
in validation.campaigns.counts, and known answers are mixed in by validation.voting.assignment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mapping.models import Hashtag
from trainer.models import TrainedModel
from validation.models import GoldAnswer, Photo, Prediction
from validation.models.photos import PhotoQuerySet

ASSUMED = 100  # photos, while there are none
DESCRIBED = (
    *("votes_per_photo", "extra_votes", "min_confidence"),
    *("audit_share", "gold_share", "control_share", "silence_share", "would_post_share"),
)


@dataclass(frozen=True)
class Basis:
    """The photos of a campaign, and how many of them it would ask about."""

    photos: int
    suggested: int  # with a suggestion that the rules ask about
    silent: int  # without a suggestion, but with a hashtag to ask about; not more than the rules ask for
    is_assumed: bool = False  # there are no photos yet
    unpredicted: int = 0  # photos for which a suggestion is expected, because the model has not seen them

    @classmethod
    def assumed(cls) -> Basis:
        """Photos with a suggestion, and as many silent ones: more than any rule asks about."""
        return cls(photos=2 * ASSUMED, suggested=ASSUMED, silent=ASSUMED, is_assumed=True)


@dataclass(frozen=True)
class Effort:
    """Votes, unless it says otherwise."""

    basis: Basis
    suggestions: int
    extra: int  # at most, if people disagree about everything
    control: int
    silence: int
    gold: int  # to be expected: chance mixes them in
    would_post: int  # second taps, which are no votes
    has_known_answers: bool

    @property
    def least(self) -> int:
        """If people agree about everything."""
        return self.suggestions + self.control + self.silence + self.gold

    @property
    def most(self) -> int:
        return self.least + self.extra


def count_votes(*, basis: Basis, has_known_answers: bool, rules: dict[str, Any]) -> Effort:
    """`rules` are fields of Campaign, with a value for each rule that costs votes."""
    each, suggested = rules["votes_per_photo"], basis.suggested
    silence = min(math.ceil(suggested * rules["silence_share"]), basis.silent)
    # A wrong hashtag is asked about on any photo but those of silent suggestions.
    control = min(math.ceil(suggested * rules["control_share"]), basis.photos - silence)
    plain = (suggested + control + silence) * each
    extra = suggested * rules["extra_votes"] if each > 1 else 0
    gold = rules["gold_share"] if has_known_answers else 0.0
    mixed_in = round(plain * gold / (1 - gold)) if gold < 1 else 0
    return Effort(
        basis=basis,
        suggestions=suggested * each,
        extra=extra,
        control=control * each,
        silence=silence * each,
        gold=mixed_in,
        would_post=round((plain + mixed_in) * rules["would_post_share"]),
        has_known_answers=has_known_answers,
    )


def has_known_answers() -> bool:
    return GoldAnswer.objects.shown().offered().exists()


def basis_of(*, photos: PhotoQuerySet | None, model: TrainedModel | None, rules: dict[str, Any]) -> Basis:
    """What the model says about these photos, as far as it has seen them. Without photos: assumed ones."""
    shown = photos.shown() if photos is not None else Photo.objects.none()
    count = shown.distinct().count()
    if not count:
        return Basis.assumed()
    rows = Prediction.objects.filter(model=model, photo__in=shown.values("pk"))
    known = rows.count()
    asked = rows.suggested().filter(_is_asked(rules)).count()
    hashtags = rules.get("hashtags") or ()
    names = set(Hashtag.objects.unblocked().values_list("name", flat=True))
    if hashtags:
        names &= {hashtag.name for hashtag in hashtags}
    suggested = asked + count - known
    candidates = rows.silent().order_by().values_list("candidates", flat=True).iterator()
    usable = (1 for ranked in candidates if any(name in names for name, _ in ranked))
    silent = sum(islice(usable, math.ceil(suggested * rules["silence_share"])))  # no more are asked about
    return Basis(photos=count, suggested=suggested, silent=silent, unpredicted=count - known)


def _is_asked(rules: dict[str, Any]) -> Q:
    condition = Q(confidence__gte=rules["min_confidence"]) if rules["min_confidence"] else Q()
    hashtags = rules.get("hashtags") or ()
    return condition & Q(hashtag__in=hashtags) if hashtags else condition


# --- in words ---------------------------------------------------------------------------------


def describe_total(effort: Effort) -> str:
    basis = effort.basis
    if basis.is_assumed:
        about = _("%(n)s photos with a suggestion") % {"n": ASSUMED}
    else:
        photos = ngettext(
            "%(n)s photo, %(suggested)s with a suggestion",
            "%(n)s photos, %(suggested)s with a suggestion",
            basis.photos,
        )
        about = photos % {"n": intcomma(basis.photos), "suggested": intcomma(basis.suggested)}
    if effort.least == effort.most:
        votes = _("%(n)s votes") % {"n": intcomma(effort.least)}
    else:
        votes = _("%(least)s to %(most)s votes") % {
            "least": intcomma(effort.least),
            "most": intcomma(effort.most),
        }
    guess = ""
    if basis.unpredicted:
        guess = _("The model has not seen %(n)s of them: each counts as if it got a suggestion.") % {
            "n": intcomma(basis.unpredicted)
        }
    return f"{about}: {votes}. {guess}".rstrip()


def describe_rules(effort: Effort) -> dict[str, str]:
    """By the name of a field: what it adds."""
    basis = effort.basis
    least = ngettext("Leaves %(n)s suggestion.", "Leaves %(n)s suggestions.", basis.suggested)
    gold = ngettext("About %(n)s vote.", "About %(n)s votes.", effort.gold) % {"n": intcomma(effort.gold)}
    extra = ngettext("0 to %(n)s vote.", "0 to %(n)s votes.", effort.extra)
    taps = ngettext(
        "0 votes, about %(n)s second tap.", "0 votes, about %(n)s second taps.", effort.would_post
    )
    return {
        "votes_per_photo": _votes(effort.suggestions),
        "extra_votes": extra % {"n": intcomma(effort.extra)},
        "min_confidence": "" if basis.is_assumed else least % {"n": intcomma(basis.suggested)},
        "audit_share": _votes(0),
        "gold_share": gold if effort.has_known_answers else _("0 votes: no answer is known yet."),
        "control_share": _votes(effort.control),
        "silence_share": _votes(effort.silence),
        "would_post_share": taps % {"n": intcomma(effort.would_post)},
    }


def _votes(n: int) -> str:
    return ngettext("%(n)s vote.", "%(n)s votes.", n) % {"n": intcomma(n)}
