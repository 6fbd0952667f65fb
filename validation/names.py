"""Many names in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _


def name_some(names: Sequence[str], *, most: int) -> str:
    """The first `most` names, and how many more there are."""
    some, more = ", ".join(names[:most]), len(names) - most
    return _("%(names)s and %(n)s more") % {"names": some, "n": intcomma(more)} if more > 0 else some
