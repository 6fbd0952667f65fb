"""What a token may be used for. A scope restricts what the token's account may do; it never adds to it."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.translation import gettext_noop as _
from rest_framework.permissions import SAFE_METHODS

SCOPES = {
    "suggest": _("ask for hashtags of photos"),
    "check": _("ask whether hashtags fit a photo"),
    "feedback": _("say what became of suggestions"),
    "read mapping": _("read the mapping and its releases"),
    "write mapping": _("decide about classes, import, publish"),
    "read results": _("read runs, models, campaigns, votes and checked posts"),
}


class Need(NamedTuple):
    """The scopes that requests to an address need: those that only read, and those that write."""

    read: str
    write: str

    def scope_for(self, method: str | None) -> str:
        return self.read if method in SAFE_METHODS else self.write


READ = Need("read mapping", "read mapping")
MAPPING = Need("read mapping", "write mapping")
RESULTS = Need("read results", "read results")
# By the name of the address. A token cannot be used at an address of the API that is missing here.
ADDRESSES = {
    "api_suggest": Need("suggest", "suggest"),
    "api_suggest_stream": Need("suggest", "suggest"),
    "api_model": Need("suggest", "suggest"),
    "api_check": Need("check", "check"),
    "api_feedback": Need("feedback", "feedback"),
    "api_runs": RESULTS,
    "api_models": RESULTS,
    "api_campaigns": RESULTS,
    "api_campaign": RESULTS,
    "api_votes": RESULTS,
    "api_posts": RESULTS,
    "api_entries": READ,
    "api_entry": MAPPING,
    "api_suggestions": READ,
    "api_decisions": MAPPING,
    "api_undo": MAPPING,
    "api_hashtags": READ,
    "api_releases": MAPPING,
    "api_labels": READ,
    "api_compare": READ,
    "api_unpublished": READ,
    "api_export": READ,
    "api_import": MAPPING,
}
OPEN = ("schema", "api", "api_reference")  # to everybody, and so to every token
