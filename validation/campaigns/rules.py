"""The rules of a campaign that runs: which may change, and how; photos that join it; its link."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import transaction

from validation.campaigns.counts import settle_all
from validation.campaigns.predicting import predict_again
from validation.models import Campaign

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

# Fields of Campaign, in the order of the form. Not the model: the questions, their streams and every rate are
# about what one model suggested. Another model is a rival, or a campaign of its own on the same photos.
RULES = (
    "votes_per_photo",
    "extra_votes",
    "hashtags",
    "min_confidence",
    "audit_share",
    "gold_share",
    "control_share",
    "silence_share",
    "would_post_share",
    "only_unseen",
    "rivals",
    "audience",
    "language",
    "closes_at",
)
MANY = [rule for rule in RULES if Campaign._meta.get_field(rule).many_to_many]
COLUMNS = [rule for rule in RULES if rule not in MANY]
NEED_THE_JOB = frozenset(
    {"hashtags", "rivals", "min_confidence", "gold_share", "control_share", "silence_share"}
)


class StaleRules(Exception):
    """Somebody else changed the rules while this page was open. Nothing was saved: look at them again."""


def put_rules(campaign: Campaign, rules: dict[str, Any]) -> dict[str, Iterable[Any]]:
    """Set fields on an unsaved campaign; returns the many-to-many ones, for after it is saved.

    Raises TypeError for what is not a rule.
    """
    unknown = rules.keys() - set(RULES)
    if unknown:
        raise TypeError(f"Not rules of a campaign: {', '.join(sorted(unknown))}")
    for field in rules.keys() & set(COLUMNS):
        setattr(campaign, field, rules[field])
    return {field: rules[field] for field in rules.keys() & set(MANY)}


def put_many(campaign: Campaign, many: dict[str, Iterable[Any]]) -> None:
    for field, rows in many.items():
        getattr(campaign, field).set(rows)


def rules_seen(campaign: Campaign) -> str:
    """A digest of the rules as they are: a page that sends it back has seen these."""
    values: list[Any] = [campaign.name, *(str(getattr(campaign, field)) for field in COLUMNS)]
    values += [sorted(getattr(campaign, field).values_list("pk", flat=True)) for field in MANY]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


@transaction.atomic
def change_rules(
    *, campaign: Campaign, seen: str, by: AbstractBaseUser, name: str, **rules: Any
) -> list[str]:
    """Change a campaign's rules and return which ones changed; votes given stay as they are.

    What adds suggestions, rivals or questions starts the prediction again. Raises StaleRules unless `seen` is
    rules_seen of the campaign as it is, IntegrityError for a name that is taken.
    """
    locked = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
    if rules_seen(locked) != seen:
        raise StaleRules(str(StaleRules.__doc__))
    before = {field: getattr(locked, field) for field in COLUMNS}
    many_before = {field: set(getattr(locked, field).all()) for field in MANY}
    many = put_rules(locked, rules)
    changed = [field for field in COLUMNS if getattr(locked, field) != before[field]]
    changed += [field for field in many if set(many[field]) != many_before[field]]
    if name != locked.name:
        locked.name = name
        changed.append("name")
    locked.save(update_fields=["name", *COLUMNS])
    put_many(locked, many)
    if {"votes_per_photo", "extra_votes"} & set(changed):
        settle_all(locked)
    if NEED_THE_JOB & set(changed):
        predict_again(campaign=locked, by=by)
    return changed
