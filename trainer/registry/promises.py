"""What a model promises about its suggestions, in one plain sentence for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mapping.models import OTHER


def one_in(share: float) -> str:
    """A share of mistakes in words: 0.1 → "1 in 10", 0.4 → "4 in 10", 0.07 → "7 in 100". One below half a
    per cent is told in thousandths.
    """
    n, of = _fraction(share)
    return _("%(n)s in %(of)s") % {"n": n, "of": intcomma(of)}


def _fraction(share: float) -> tuple[int, int]:
    percent = round(100 * share)
    if percent == 0:
        return round(1000 * share), 1000
    if 100 % percent == 0:
        return 1, 100 // percent
    return (percent // 10, 10) if percent % 10 == 0 else (percent, 100)


def promise_of(manifest: dict[str, Any]) -> str:
    """The promise in English, for cards, which are files, and the API: see promise_in_words."""
    with translation.override("en"):
        return promise_in_words(manifest)


def promise_in_words(manifest: dict[str, Any]) -> str:
    """The promise of a model with this manifest, an exported or a checked one; empty if it makes none."""
    promise = manifest.get("promise")
    if not promise:
        return ""
    share = 1 - manifest["target_precision"]
    words = {
        "mistakes": one_in(share),
        "sure": _("%(share)s sure") % {"share": f"{100 * promise['confidence']:.0f}\u00a0%"},
    }
    groups = promise["groups"]
    base = promise.get("base")
    if all(group["threshold"] is None for group in groups):
        silent = _(
            "It suggests nothing: there are too few held-out photos, or too many mistakes among them, to be "
            "%(sure)s that at most %(mistakes)s suggestions would be wrong."
        )
        return silent % words
    words["where"] = _("on photos like those held out from training")
    if base:
        where = _("on photos like those of the campaign “%(name)s”, as most people judge them")
        words["where"] = where % {"name": base["campaign"]}
    n_mistakes, _of = _fraction(share)
    if promise["kind"] == "overall":
        sentence = ngettext(
            "At most %(mistakes)s suggestions is wrong, %(sure)s, %(where)s.",
            "At most %(mistakes)s suggestions are wrong, %(sure)s, %(where)s.",
            n_mistakes,
        )
        return " ".join([sentence % words, *_say_base(base)])
    sentence = ngettext(
        "Of each hashtag at most %(mistakes)s suggestions is wrong, "
        "%(sure)s for all of them at once, %(where)s.",
        "Of each hashtag at most %(mistakes)s suggestions are wrong, "
        "%(sure)s for all of them at once, %(where)s.",
        n_mistakes,
    )
    return " ".join([sentence % words, *_say_shared(groups), *_say_base(base)])


def _say_shared(groups: list[dict[str, Any]]) -> Iterator[str]:
    for group in groups:
        if len(group["hashtags"]) > 1 and group["threshold"] is not None:
            names = ", ".join(f"#{name}" for name in group["hashtags"] if name != OTHER)
            yield _("%(names)s had few photos: for them the promise holds together.") % {"names": names}


def _say_base(base: dict[str, Any] | None) -> Iterator[str]:
    """What people's votes a promise rests on; nothing for one that rests on held-out photos."""
    if not base:
        return
    words = {
        "photos": ngettext("%(n)s photo", "%(n)s photos", base["photos"]) % {"n": intcomma(base["photos"])},
        "people": ngettext("%(n)s person", "%(n)s people", base["people"]) % {"n": intcomma(base["people"])},
    }
    if base["until"]:
        day = date_format(date.fromisoformat(base["until"]), "j F Y")
        yield _("It rests on %(photos)s judged by %(people)s until %(day)s.") % {**words, "day": day}
    else:
        yield _("It rests on %(photos)s judged by %(people)s.") % words
