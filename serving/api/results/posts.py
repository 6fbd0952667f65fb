"""GET /api/v1/posts: checked posts, the verdict on each hashtag, and what people said of it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from serving.api.fields import read_fields
from serving.api.results.pages import ERRORS, TAG, NumberedPageQuery, ResultsView, newest_of
from serving.checking import VERDICTS
from serving.models import CheckedPost
from serving.models.posts import LONGEST_NAME
from serving.posts import with_hashtag
from serving.said import Wanted, add_said, with_said
from serving.spelling import LONGEST

EXAMPLE = {
    "id": 41,
    "account": "photogram",
    "author": "anna",
    "post": "7",
    "checked_at": "2026-11-30T09:00:00Z",
    "looked_at": None,
    "photo": "3b1f5d0c9e7a4f62b8d01e5c7a93f4603b1f5d0c9e7a4f62b8d01e5c7a93f460",
    "hashtags": [
        {
            "hashtag": "snow",
            "verdict": "does_not_fit",
            "probability": 0.0004,
            "understood_as": "snow",
            "people": {"fits": 1, "does_not_fit": 4},
        },
        {
            "hashtag": "love",
            "verdict": "unknown",
            "probability": None,
            "understood_as": "",
            "people": None,
        },
    ],
}


class PostsQuery(NumberedPageQuery):
    author = serializers.CharField(required=False, max_length=LONGEST_NAME)
    hashtag = serializers.CharField(
        required=False, max_length=LONGEST, help_text="As it was written or understood."
    )
    people = serializers.ChoiceField(
        Wanted.values,
        required=False,
        help_text="What most people say of at least one hashtag: `against` it, or that it fits although the "
        "check says otherwise (`falsely_accused`); `unasked`: nobody has said anything.",
    )


class SaidSerializer(serializers.Serializer[Any]):
    fits = serializers.IntegerField()
    does_not_fit = serializers.IntegerField()


class PostedHashtagSerializer(serializers.Serializer[Any]):
    hashtag = serializers.CharField(help_text="As its author wrote it, without #.")
    verdict = serializers.ChoiceField(VERDICTS)
    probability = serializers.FloatField(allow_null=True)
    understood_as = serializers.CharField(help_text="The model's hashtag that was judged; empty if none.")
    people = SaidSerializer(
        source="said",
        allow_null=True,
        help_text="How many answered so in campaigns about authors' hashtags; null if nobody has.",
    )


class PostSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    account = serializers.CharField(source="account.username", help_text="The network that asked.")
    author = serializers.CharField(help_text="The network's own name, as `post` is.")
    post = serializers.CharField()
    checked_at = serializers.DateTimeField()
    looked_at = serializers.DateTimeField(allow_null=True, help_text="By a moderator.")
    photo = serializers.CharField(source="photo_sha256", help_text="SHA-256 of its file, which is not kept.")
    hashtags = PostedHashtagSerializer(source="hashtags.all", many=True)


class PostPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = PostSerializer(many=True, help_text="Newest first.")


class PostsView(ResultsView):
    to_read = "serving.view_checkedpost"

    @extend_schema(
        operation_id="checked_posts",
        tags=[TAG],
        summary="Checked posts, with what people said of their hashtags",
        parameters=[PostsQuery],
        examples=[OpenApiExample("One post", value={"next": None, "results": [EXAMPLE]})],
        responses={200: PostPageSerializer} | ERRORS,
    )
    def get(self, request: Request) -> Response:
        query = read_fields(request, PostsQuery)
        rows = CheckedPost.objects.select_related("account").prefetch_related("hashtags")
        if author := query.get("author"):
            rows = rows.filter(author=author)
        if hashtag := query.get("hashtag"):
            rows = rows.filter(pk__in=with_hashtag(hashtag))
        if people := query.get("people"):
            rows = with_said(rows, people)
        page, following = newest_of(request, rows, query.get("after"), query["limit"])
        add_said(page)
        return Response({"next": following, "results": PostSerializer(page, many=True).data})
