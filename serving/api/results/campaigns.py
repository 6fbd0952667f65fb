"""Campaigns: the list, the agreement rate of one, and its votes without identities."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mapping.api.base import next_page
from serving.api.results.pages import (
    ERRORS,
    NOT_FOUND,
    TAG,
    NumberedPageQuery,
    ResultsView,
    newest_first,
    read_page,
)
from validation.agreement import exports, lists, posted, results
from validation.models import Campaign, Question, Vote
from validation.models.answers import Answer

CAMPAIGN = {
    "id": 2,
    "name": "November uploads",
    "url": "/validation/campaigns/2/",
    "kind": "predicted",
    "model": 3,
    "takes_votes": True,
    "made_up": False,
    "closes_at": None,
    "votes_per_photo": 3,
    "photos": 500,
    "suggestions": 312,
    "judged": 208,
    "created_at": "2026-11-24T09:00:00Z",
}
AGREEMENT = {"share": 0.8654, "low": 0.8121, "high": 0.9052, "photos": 208}
VOTE = {
    "person": 186349017231,
    "photo": "3b1f5d0c9e7a4f62b8d01e5c7a93f4603b1f5d0c9e7a4f62b8d01e5c7a93f460",
    "hashtag": "cafe",
    "kind": "suggestion",
    "confidence": 0.77,
    "answer": "does_not_fit",
    "reason": "too_general",
    "would_post": None,
    "seconds": 2.4,
    "day": "2026-11-24",
    "set_aside": False,
    "made_up": False,
}


class CampaignSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    url = serializers.CharField(source="get_absolute_url", help_text="Its page on this site.")
    kind = serializers.ChoiceField(
        Campaign.Kind.choices,
        help_text="`predicted` asks whether a model's suggestions fit, `authors` whether the hashtags of the "
        "photos' authors do.",
    )
    model = serializers.IntegerField(
        source="model_id", allow_null=True, help_text="That suggests, or checks; null if nothing is checked."
    )
    takes_votes = serializers.BooleanField(help_text="It is open and its time is not over.")
    made_up = serializers.BooleanField(
        source="is_made_up", help_text="Nobody real has voted: it shows how the pages look with votes."
    )
    closes_at = serializers.DateTimeField(allow_null=True)
    votes_per_photo = serializers.IntegerField()
    photos = serializers.IntegerField(source="photo_count")
    suggestions = serializers.IntegerField(
        source="progress.suggestions",
        help_text="Of the model that people are asked about; with the kind `authors`, hashtags of authors.",
    )
    judged = serializers.IntegerField(
        source="progress.done", help_text="Suggestions with as many votes as they need."
    )
    created_at = serializers.DateTimeField()


class CampaignPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = CampaignSerializer(many=True, help_text="Newest first.")


class RateSerializer(serializers.Serializer[Any]):
    """A share with its 95 % interval."""

    share = serializers.FloatField(source="value")
    low = serializers.FloatField()
    high = serializers.FloatField()
    photos = serializers.IntegerField(source="n")


class AuthorsSerializer(serializers.Serializer[Any]):
    """What people say of authors' hashtags and of the check. Shares are null before the first answer."""

    fits = RateSerializer(allow_null=True, help_text="Share of the authors' hashtags that fit.")
    falsely_accused = RateSerializer(
        allow_null=True, help_text="Of those that fit, the share that the check says does not fit."
    )
    found = RateSerializer(
        allow_null=True, help_text="Of those that do not fit, the share that the check finds."
    )
    rightly_accused = RateSerializer(
        allow_null=True, help_text="Of those that the check says do not fit, the share that does not."
    )


class CampaignDetailSerializer(CampaignSerializer):
    agreement = RateSerializer(
        source="summary.overall",
        allow_null=True,
        help_text="Share of suggestions that most voters find fitting; null before the first answer, and "
        "with the kind `authors`.",
    )
    authors = AuthorsSerializer(allow_null=True, help_text="Null with the kind `predicted`.")
    unjudged = serializers.FloatField(
        source="summary.unjudged", help_text="Share of the suggestions that no answer represents."
    )
    votes = serializers.IntegerField(source="summary.votes", help_text="Skips included.")
    people = serializers.IntegerField(source="summary.people")


class VoteSerializer(serializers.Serializer[Any]):
    """As in the export as a file: without identities, in no order of time, with the day only."""

    person = serializers.IntegerField(
        help_text="The same number in all votes of a person in this campaign, another one elsewhere."
    )
    photo = serializers.CharField(help_text="Its SHA-256.")
    hashtag = serializers.CharField()
    kind = serializers.ChoiceField(Question.Kind.choices)
    confidence = serializers.FloatField(allow_null=True, help_text="Of the model.")
    answer = serializers.ChoiceField(Answer.values)
    reason = serializers.ChoiceField(Vote.Reason.values)
    would_post = serializers.BooleanField(allow_null=True, help_text="Asked after some votes only.")
    seconds = serializers.FloatField(allow_null=True)
    day = serializers.DateField()
    set_aside = serializers.BooleanField(help_text="It counts nowhere.")
    made_up = serializers.BooleanField(help_text="Nobody real has given it.")


class VotePageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = VoteSerializer(many=True)


class CampaignsView(ResultsView):
    to_read = "validation.view_campaign"

    @extend_schema(
        operation_id="campaigns",
        tags=[TAG],
        summary="Campaigns, newest first",
        parameters=[NumberedPageQuery],
        examples=[OpenApiExample("One campaign", value={"next": None, "results": [CAMPAIGN]})],
        responses={200: CampaignPageSerializer} | ERRORS,
    )
    def get(self, request: Request) -> Response:
        page, following = newest_first(request, Campaign.objects.with_photo_counts())
        _add_progress(page)
        return Response({"next": following, "results": CampaignSerializer(page, many=True).data})


class CampaignView(ResultsView):
    to_read = "validation.view_vote"

    @extend_schema(
        operation_id="campaign",
        tags=[TAG],
        summary="How often people agree in one campaign",
        examples=[
            OpenApiExample(
                "A campaign under way",
                value=CAMPAIGN
                | {"agreement": AGREEMENT, "authors": None, "unjudged": 0.04, "votes": 655, "people": 14},
            )
        ],
        responses={200: CampaignDetailSerializer} | ERRORS | NOT_FOUND,
    )
    def get(self, request: Request, pk: int) -> Response:
        campaign = get_object_or_404(Campaign.objects.with_photo_counts(), pk=pk)
        _add_progress([campaign])
        found = posted.find(campaign) if campaign.is_authors else None
        campaign.authors = found  # type: ignore[attr-defined]
        campaign.summary = found or results.brief(campaign)  # type: ignore[attr-defined]
        return Response(CampaignDetailSerializer(campaign).data)


class VotesView(ResultsView):
    to_read = "validation.view_vote"

    @extend_schema(
        operation_id="campaign_votes",
        tags=[TAG],
        summary="The votes on what a campaign asks, without identities",
        description="All votes about one photo and hashtag are on one page: `limit` counts such pairs, not "
        "votes. `after` is a key from `next`.",
        parameters=[NumberedPageQuery],
        examples=[OpenApiExample("One vote", value={"next": None, "results": [VOTE]})],
        responses={200: VotePageSerializer} | ERRORS | NOT_FOUND,
    )
    def get(self, request: Request, pk: int) -> Response:
        campaign = get_object_or_404(Campaign, pk=pk)
        after, limit = read_page(request)
        questions = Question.objects.of_campaign(campaign).filter(pk__gt=after or 0)
        voted = questions.filter(Exists(Vote.objects.counting_in(campaign).on_outer_pair())).order_by("pk")
        page = list(voted.values_list("pk", flat=True)[: limit + 1])
        last = page[limit - 1] if len(page) > limit else None
        votes = exports.votes(campaign, questions=page[:limit])
        rows = [dict(zip(exports.FIELDS, vote, strict=True)) for vote in votes]
        following = next_page(request, str(last) if last else None)
        return Response({"next": following, "results": rows})


def _add_progress(campaigns: list[Campaign]) -> None:
    progress = lists.progress_of(campaigns)
    for campaign in campaigns:
        campaign.progress = progress.get(campaign.pk, lists.NO_PROGRESS)  # type: ignore[attr-defined]
