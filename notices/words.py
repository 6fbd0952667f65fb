"""Shows texts in their reader's language."""

from __future__ import annotations

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext

from formats.texts import Text


def shown(text: str) -> str:
    """The text in the reader's language. One that is no Text, such as those of old rows, as it is."""
    if not isinstance(text, Text) or not text.words:
        return text
    names = {name: shown(one) if isinstance(one, str) else intcomma(one) for name, one in text.names.items()}
    return gettext(text.words) % names if names else gettext(text.words)
