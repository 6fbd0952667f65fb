"""POST /api/v1/check: takes a photo and its author's hashtags, says of each whether it fits.

With the names of author and post, the verdicts are kept for moderators.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from django.contrib.auth.models import User
from django.http import QueryDict
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from people.authentication import TokenRate
from serving.api.photos import FIELD, read_content, read_photos
from serving.api.refusals import BrokenModel, MaySuggest, NoChecks, NoModel, error_response
from serving.checking import VERDICTS, Post, check
from serving.models.posts import LONGEST_NAME
from serving.posts import BadName, keep_post, read_name
from serving.spelling import LONGEST, MOST, BadHashtags, read_hashtags
from trainer.engine.errors import ModelError, NoChecksError
from trainer.registry.serving import UNREADABLE, NoActiveModel

HASHTAGS = "hashtags"
NAMES = ("author", "post")
log = logging.getLogger(__name__)


class CheckRequestSerializer(serializers.Serializer[Any]):
    photo = serializers.FileField(help_text="JPEG, PNG, WebP, HEIC, BMP, GIF or TIFF.")
    hashtags = serializers.ListField(
        child=serializers.CharField(allow_blank=True),
        help_text="What the author wrote: the field once for each, or one field such as `#beach #sunset` "
        f"or `beach, sunset`. At most {MOST} hashtags of {LONGEST} characters.",
    )
    author = serializers.CharField(
        required=False,
        max_length=LONGEST_NAME,
        help_text="Your own name or number of who posted it. With `post`, verdicts are kept for moderators.",
    )
    post = serializers.CharField(
        required=False,
        max_length=LONGEST_NAME,
        help_text="Your own name or number of the post. Another check of the same post replaces the first.",
    )


class VerdictSerializer(serializers.Serializer[Any]):
    hashtag = serializers.CharField(help_text="As it was sent, without #.")
    verdict = serializers.ChoiceField(
        VERDICTS, help_text="`unknown`: the model does not know the hashtag, or curators blocked it."
    )
    probability = serializers.FloatField(
        min_value=0,
        max_value=1,
        allow_null=True,
        help_text="That the hashtag fits: a question of its own, so those of a photo may add up to more "
        "than 1. Null if unknown.",
    )
    reason = serializers.CharField(help_text="In plain words.")
    understood_as = serializers.CharField(
        allow_null=True,
        help_text="The model's hashtag that was judged: `cafe` for `#coffeehouse`. Null if none.",
    )
    understood_by = serializers.ChoiceField(
        ("as_written", "spelling", "plural", "synonym"),
        allow_null=True,
        help_text="How it was understood: as it is, in another spelling, as a plural, or as another word for "
        "the same (WordNet).",
    )


class ScoreSerializer(serializers.Serializer[Any]):
    judged = serializers.IntegerField(help_text="Different hashtags that the model knows.")
    fitting = serializers.IntegerField()
    doubtful = serializers.IntegerField()
    not_fitting = serializers.IntegerField()
    share = serializers.FloatField(
        min_value=0, max_value=1, allow_null=True, help_text="not_fitting / judged; null if none is judged."
    )
    sentence = serializers.CharField(help_text="The same in words.")


class CheckSerializer(serializers.Serializer[Any]):
    file = serializers.CharField(help_text="The name of the uploaded file.")
    hashtags = VerdictSerializer(many=True, help_text="In the order in which they were sent.")
    score = ScoreSerializer(help_text="The post as a whole. Spellings of one hashtag count once.")


EXAMPLE = {
    "file": "holiday.jpg",
    "hashtags": [
        {
            "hashtag": "Coffeehouse",
            "verdict": "fits",
            "probability": 0.94,
            "reason": "The photo looks like #cafe.",
            "understood_as": "cafe",
            "understood_by": "synonym",
        },
        {
            "hashtag": "bar",
            "verdict": "doubtful",
            "probability": 0.12,
            "reason": "#bar is possible, but the photo does not settle it.",
            "understood_as": "bar",
            "understood_by": "as_written",
        },
        {
            "hashtag": "snow",
            "verdict": "does_not_fit",
            "probability": 0.0004,
            "reason": "The photo does not look like #snow; it looks more like #cafe.",
            "understood_as": "snow",
            "understood_by": "as_written",
        },
        {
            "hashtag": "love",
            "verdict": "unknown",
            "probability": None,
            "reason": "The model does not know this hashtag.",
            "understood_as": None,
            "understood_by": None,
        },
    ],
    "score": {
        "judged": 3,
        "fitting": 1,
        "doubtful": 1,
        "not_fitting": 1,
        "share": 0.3333,
        "sentence": "1 of 3 popular hashtags does not belong.",
    },
}


class CheckView(APIView):
    permission_classes = [MaySuggest]
    parser_classes = [MultiPartParser]
    throttle_classes = [TokenRate]
    throttle_scope = "suggest"

    @extend_schema(
        operation_id="check",
        summary="Check the hashtags of a photo",
        description="Send a form with the photo and its author's hashtags. Neither is kept, unless you also "
        "send `author` and `post`: then hashtags and verdicts are kept for moderators, and the photo is not. "
        "`does_not_fit` is said rarely: of hashtags that fit photos like the held-out ones, at most 2 % "
        "get it.",
        request={"multipart/form-data": CheckRequestSerializer},
        responses={
            200: CheckSerializer,
            400: error_response(
                "A field is missing, wrong or unknown", {"hashtags": ["Send at least one hashtag."]}
            ),
            401: error_response("No token", {"detail": "Authentication credentials were not provided."}),
            403: error_response("The account may not ask", {"detail": MaySuggest.message}),
            413: error_response("The photo is too large", {"detail": "The photo is larger than 15 MB."}),
            415: error_response("Not a form", {"detail": 'Unsupported media type "image/jpeg".'}),
            429: error_response(
                "Too many requests", {"detail": "Request was throttled. Available in 12 seconds."}
            ),
            503: error_response(
                "No model is active, or it cannot check; or, with `Retry-After`, the site is busy",
                {"detail": NoChecks.default_detail},
            ),
        },
        examples=[OpenApiExample("A cafe", value=EXAMPLE, response_only=True, status_codes=["200"])],
    )
    def post(self, request: Request) -> Response:
        hashtags, names = _read_fields(request)
        [photo] = read_photos(request, most=1)
        content = read_content(photo)
        try:
            post = next(iter(check([(content, hashtags)])))
        except NoActiveModel as error:
            raise NoModel from error
        except NoChecksError as error:
            raise NoChecks from error
        except ModelError as error:
            log.error("The active model cannot be used: %s", error)
            raise BrokenModel from error
        answer = _answer(post) | {"file": photo.name}
        if names:
            assert isinstance(request.user, User)
            keep_post(
                account=request.user,
                author=names["author"],
                name=names["post"],
                post=post,
                photo_sha256=hashlib.sha256(content).hexdigest(),
            )
        return Response(answer)


def _read_fields(request: Request) -> tuple[list[str], dict[str, str]]:
    """The hashtags, and the names of author and post if they are given. Raises ValidationError for them, and
    for fields that are not known here.
    """
    fields = request.data
    assert isinstance(fields, QueryDict)
    texts = {HASHTAGS, *NAMES}
    wrong = {name: ["There is no such field."] for name in {*fields, *request.query_params} - {FIELD, *texts}}
    wrong |= {name: [f"Send the {name} as text, not as a file."] for name in texts & {*request.FILES}}
    wrong |= {name: [f"Send the {name} in the form."] for name in texts & {*request.query_params}}
    if wrong:
        raise ValidationError(wrong)
    names = _read_names(fields)
    try:
        return read_hashtags(fields.getlist(HASHTAGS)), names
    except BadHashtags as error:
        raise ValidationError({HASHTAGS: [str(error)]}) from error


def _read_names(fields: QueryDict) -> dict[str, str]:
    """Author and post, or nothing if neither is sent. Raises ValidationError."""
    names, wrong = {}, {}
    for field in NAMES:
        values = fields.getlist(field)
        if not values:
            continue
        try:
            if len(values) > 1:
                raise BadName("Send this field once.")
            names[field] = read_name(values[0])
        except BadName as error:
            wrong[field] = [str(error)]
    if not wrong and len(names) == 1:
        wrong = {field: ["Send author and post together."] for field in NAMES if field not in names}
    if wrong:
        raise ValidationError(wrong)
    return names


def _answer(post: Post) -> dict[str, Any]:
    """Raises ValidationError if there are no verdicts."""
    if post.problem is None:
        return post.as_dict()
    reason = post.problem.removeprefix(UNREADABLE)
    what = "judged" if reason == post.problem else "read"
    raise ValidationError({FIELD: [f"This photo cannot be {what}: {reason}."]})
