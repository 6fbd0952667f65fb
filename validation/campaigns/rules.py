"""The rules of a campaign: which of them may change while it runs, and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.translation import gettext as _

from validation.campaigns.counts import update_all_needed
from validation.campaigns.predicting import predict_again
from validation.models import Campaign

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

# Fields of Campaign, in the order of the form. The model is not one of them: the questions, their streams
# and all rates are about one model's suggestions. Another model is a rival, or gets a campaign of its own.
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
    """Somebody else changed the rules while this page was open. "
    "Nothing was saved: check the rules again."""


def put_rules(campaign: Campaign, rules: dict[str, Any]) -> dict[str, Iterable[Any]]:
    """Set fields of a campaign without saving it. Returns the many-to-many fields, which must be set after
    it is saved. Raises TypeError for a name that is not a rule.
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
    """A digest of the current rules. A page sends it back to show which rules the person has seen."""
    values: list[Any] = [campaign.name, *(str(getattr(campaign, field)) for field in COLUMNS)]
    values += [sorted(getattr(campaign, field).values_list("pk", flat=True)) for field in MANY]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


@transaction.atomic
def change_rules(
    *, campaign: Campaign, seen: str, by: AbstractBaseUser, name: str, **rules: Any
) -> list[str]:
    """Change a campaign's rules and return which ones changed; votes stay as they are.

    A change that may add suggestions, rivals or questions starts the prediction again. Raises StaleRules if
    `seen` differs from the current rules_seen, and IntegrityError for a name that is taken.
    """
    current = Campaign.objects.select_for_update(of=("self",), no_key=True).get(pk=campaign.pk)
    if rules_seen(current) != seen:
        raise StaleRules(
            _(
                "Somebody else changed the rules while this page was open. "
                "Nothing was saved: check the rules again."
            )
        )
    before = {field: getattr(current, field) for field in COLUMNS}
    many_before = {field: set(getattr(current, field).all()) for field in MANY}
    many = put_rules(current, rules)
    changes = [field for field in COLUMNS if getattr(current, field) != before[field]]
    changes += [field for field in many if set(many[field]) != many_before[field]]
    if name != current.name:
        current.name = name
        changes.append("name")
    current.save(update_fields=["name", *COLUMNS])
    put_many(current, many)
    if {"votes_per_photo", "extra_votes"} & set(changes):
        update_all_needed(current)
    if NEED_THE_JOB & set(changes):
        predict_again(campaign=current, by=by)
    return changes
