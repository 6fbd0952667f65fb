"""Takes thresholds over from votes: a new version of the model, with a promise and what it is based on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from trainer.models import TrainedModel
from trainer.registry.cards import card_with_promise
from trainer.registry.derive import derive
from trainer.registry.promises import promise_of
from trainer.runs.start import NotReady
from validation.agreement.thresholds import Proposal, Wish, propose
from validation.models import Campaign
from validation.templatetags.agreement_words import percent

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class ProposalChanged(Exception):
    """The votes, the model or what is asked changed since the page was shown. `proposal` is the new one."""

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(_("Votes have come or gone since this page was shown. Nothing was taken over."))
        self.proposal = proposal


@transaction.atomic
def take_over(*, campaign: Campaign, wish: Wish, seen: str, by: AbstractBaseUser | None) -> TrainedModel:
    """A new version of the campaign's model with the thresholds that its votes justify; not promoted.

    `seen` is the digest of the proposal that the person saw. A second request gives the same model. Raises
    ProposalChanged, NotReady with the reason if it cannot be taken over, and StorageFailure.
    """
    # Models before campaigns: so does who deletes a model.
    list(TrainedModel.objects.select_for_update().order_by("pk").values_list("pk"))
    locked = Campaign.objects.select_for_update(of=("self",), no_key=True)
    current = locked.select_related("model").get(pk=campaign.pk)
    proposal = propose(campaign=current, wish=wish)
    if proposal.digest != seen:
        raise ProposalChanged(proposal)
    if proposal.refusal:
        raise NotReady(proposal.refusal)
    changes = manifest_changes(current, proposal)
    model = current.predictor
    name = f"{model.name[:50]}, thresholds from {current.name[:30]}"
    figures = (
        f"With these thresholds {percent(proposal.coverage_new)} of the campaign's {proposal.photos:,} "
        f"photos get a suggestion; {percent(proposal.agreement)} of the judged ones fit."
    )
    card = card_with_promise(model.card, f"{promise_of(model.manifest | changes)} {figures}")
    return derive(model=model, name=name, changes=changes, card=card, by=by)


def manifest_changes(campaign: Campaign, proposal: Proposal) -> dict[str, Any]:
    evidence, wish = proposal.evidence, proposal.wish
    until = evidence.until.date().isoformat() if evidence.until else ""
    base = {
        "campaign": campaign.name,
        "campaign_id": campaign.pk,
        "photos": proposal.judged,
        "people": evidence.people,
        "until": until,
    }
    return {
        "thresholds": proposal.thresholds,
        "target_precision": wish.target,
        "promise": {
            "kind": wish.kind,
            "confidence": wish.confidence,
            "groups": [group.as_dict() for group in proposal.groups],
            "base": base,
        },
        "lineage": {"thresholds_from": f"the votes of the campaign “{campaign.name}”"},
    }


def versions(campaign: Campaign) -> list[TrainedModel]:
    """The models whose thresholds came from this campaign, the newest first."""
    by_name = Q(manifest__promise__base__campaign=campaign.name)  # before 1 December 2026, they had no id
    unnumbered = ~Q(manifest__promise__base__has_key="campaign_id") & by_name
    numbered = Q(manifest__promise__base__campaign_id=campaign.pk)
    return list(campaign.predictor.derived.filter(numbered | unnumbered).defer("manifest", "card"))
