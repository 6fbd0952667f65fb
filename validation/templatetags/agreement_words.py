"""Shares as text for pages and as values for style sheets."""

from __future__ import annotations

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext

register = template.Library()


@register.filter
def percent(share: float | str | None) -> str:
    """0.857 → "86 %", None → "–". Never "100 %" or "0 %" for a share that only rounds to it."""
    if not isinstance(share, int | float):  # a missing value reaches a filter as ""
        return "–"
    if 0.995 <= share < 1:
        return "> 99\N{NO-BREAK SPACE}%"
    if 0 < share < 0.005:
        return "< 1\N{NO-BREAK SPACE}%"
    return f"{share:.0%}".replace("%", "\N{NO-BREAK SPACE}%")


@register.filter
def finely(share: float | str | None) -> str:
    """0.0172 → "1.7 %": small shares with a decimal, unless it is 0."""
    if not isinstance(share, int | float) or share >= 0.1 or not share:
        return percent(share)
    if share < 0.0005:
        return f"< {number_format('0.1')}\N{NO-BREAK SPACE}%"
    return number_format(f"{100 * share:.1f}".removesuffix(".0")) + "\N{NO-BREAK SPACE}%"


@register.filter
def translated(words: str) -> str:
    """Words that are stored in English, such as the reason why a file was refused."""
    return gettext(words) if words else ""


@register.filter
def css_percent(share: float | None) -> str:
    """0.857 → "85.7%", whatever the page's language."""
    return f"{100 * (share or 0):.1f}%"


@register.filter
def of(words: dict[str, str], name: str) -> str:
    """The text with this name; empty if there is none."""
    return words.get(name, "")
