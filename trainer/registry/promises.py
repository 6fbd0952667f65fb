"""What a model promises about its suggestions, in one plain sentence for people."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils.formats import date_format

from mapping.models import OTHER


def one_in(share: float) -> str:
    """A share of mistakes in words: 0.1 → "1 in 10", 0.4 → "4 in 10", 0.07 → "7 in 100". One below half a
    per cent is told in thousandths.
    """
    percent = round(100 * share)
    if percent == 0:
        return f"{round(1000 * share)} in 1,000"
    if 100 % percent == 0:
        return f"1 in {100 // percent}"
    return f"{percent // 10} in 10" if percent % 10 == 0 else f"{percent} in 100"


def promise_of(manifest: dict[str, Any]) -> str:
    """The promise of a model with this manifest, an exported or a checked one; empty if it makes none."""
    promise = manifest.get("promise")
    if not promise:
        return ""
    sure = f"{100 * promise['confidence']:.0f}\u00a0% sure"
    mistakes = one_in(1 - manifest["target_precision"])
    wrong = f"{mistakes} suggestions {'is' if mistakes.startswith('1 in') else 'are'} wrong"
    groups = promise["groups"]
    base = promise.get("base")
    if all(group["threshold"] is None for group in groups):
        return (
            f"It suggests nothing: there are too few held-out photos, or too many mistakes among them, to be "
            f"{sure} that at most {mistakes} suggestions would be wrong."
        )
    where = "on photos like those held out from training"
    if base:
        where = f"on photos like those of the campaign “{base['campaign']}”, as most people judge them"
    if promise["kind"] == "overall":
        return f"At most {wrong}, {sure}, {where}.{_say_base(base)}"
    words = f"Of each hashtag at most {wrong}, {sure} for all of them at once, {where}."
    shared = [
        group["hashtags"] for group in groups if len(group["hashtags"]) > 1 and group["threshold"] is not None
    ]
    for hashtags in shared:
        names = ", ".join(f"#{name}" for name in hashtags if name != OTHER)
        words += f" {names} had few photos: for them the promise holds together."
    return words + _say_base(base)


def _say_base(base: dict[str, Any] | None) -> str:
    """What people's votes a promise rests on; empty for one that rests on held-out photos."""
    if not base:
        return ""
    photos, people = base["photos"], base["people"]
    until = date_format(date.fromisoformat(base["until"]), "j F Y") if base["until"] else ""
    return (
        f" It rests on {photos:,} photo{'s' * (photos != 1)} judged by {people:,} "
        f"{'person' if people == 1 else 'people'}{f' until {until}' * bool(until)}."
    )
