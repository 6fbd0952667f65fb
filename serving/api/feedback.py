"""POST /api/v1/feedback: what people did with suggestions, up to 1,000 events at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from formats.names import is_hashtag, normalize_hashtag
from mapping.api.base import WRITE_ERRORS, StrictJSONParser, Text, me
from people.authentication import TokenRate
from serving import feedback
from serving.answer_ids import LONGEST
from serving.api.refusals import MaySuggest
from serving.models import Feedback

MAX_EVENTS = 1_000  # a request
NO_FIELD = "There is no such field."
FIELDS = frozenset(("answer", "event", "at", "hashtag"))


class Moment(serializers.DateTimeField):
    """A time with its zone. Without one, nobody knows whose time it is."""

    default_error_messages = {"zone": "Say the time zone: 2026-11-29T14:52:08Z."}

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid", format="2026-11-29T14:52:08Z")
        return super().to_internal_value(value)

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            self.fail("zone")
        return value


class EventSerializer(serializers.Serializer[Any]):
    answer = Text(max_length=LONGEST, help_text="The `id` of an answer.")
    event = serializers.ChoiceField(Feedback.Event.choices)
    at = Moment(help_text="When it happened, with the time zone.")
    hashtag = Text(
        required=False, max_length=50, help_text="Only with `replaced`: the hashtag that was used instead."
    )

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(data.keys() - FIELDS)):
            raise serializers.ValidationError({name: [NO_FIELD] for name in unknown[:20]})
        return super().to_internal_value(data)

    def validate_hashtag(self, name: str) -> str:
        hashtag = normalize_hashtag(name)
        if not is_hashtag(hashtag) or len(hashtag) > 50:
            raise serializers.ValidationError("This is no hashtag: it has letters, digits and _ only.")
        return hashtag

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"event": feedback.read_event(**{"hashtag": "", **attrs}, account=self.context["account"])}
        except feedback.Refused as error:
            raise serializers.ValidationError({error.field: [str(error)]}) from error


class FeedbackSerializer(serializers.Serializer[Any]):
    events = EventSerializer(many=True, min_length=1, max_length=MAX_EVENTS)  # type: ignore[call-arg]


class FaultSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="Of the event in the request, from 0.")
    problems = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="What is wrong, by field."
    )


class KeptSerializer(serializers.Serializer[Any]):
    kept = serializers.IntegerField(help_text="Events that were right, also if they were known already.")
    changed = serializers.IntegerField(help_text="Answers about which something was new.")
    faults = FaultSerializer(many=True, help_text="Events that were not kept.")


KEPT = OpenApiExample(
    "One of three is wrong",
    value={
        "kept": 2,
        "changed": 2,
        "faults": [{"index": 2, "problems": {"at": ["This time is in the future."]}}],
    },
    response_only=True,
    status_codes=["200"],
)
EVENTS = OpenApiExample(
    "Two suggestions",
    value={
        "events": [
            {"answer": "AQGe…:5Rz…", "event": "accepted", "at": "2026-11-29T14:52:08Z"},
            {"answer": "AQGe…:kP0…", "event": "replaced", "at": "2026-11-29T14:52:31Z", "hashtag": "bar"},
        ]
    },
    request_only=True,
)


class FeedbackView(APIView):
    permission_classes = [MaySuggest]
    parser_classes = [StrictJSONParser]
    throttle_classes = [TokenRate]
    throttle_scope = "feedback"

    @extend_schema(
        operation_id="feedback",
        summary="Say what people did with suggestions",
        description="Up to 1,000 events about answers to this account, each named by its `id`. Events "
        "that are right are kept; the others are in `faults`. If none is right, the status is 400. Events "
        "may come in any order and more than once.",
        request=FeedbackSerializer,
        examples=[EVENTS, KEPT],
        responses={200: KeptSerializer} | WRITE_ERRORS,
    )
    def post(self, request: Request) -> Response:
        account = me(request)
        serializer = EventSerializer(context={"account": account.pk})
        events: list[tuple[int, feedback.Event]] = []
        faults: list[dict[str, Any]] = []
        for index, row in enumerate(_rows(request.data)):
            try:
                events.append((index, serializer.run_validation(row)["event"]))
            except ValidationError as error:
                faults.append({"index": index, "problems": error.detail})
        if gone := feedback.missing_models(event for _, event in events):
            words = {"answer": ["The model that gave this answer has been deleted."]}
            faults += [{"index": at, "problems": words} for at, event in events if event.answer.model in gone]
            events = [one for one in events if one[1].answer.model not in gone]
        changed = feedback.keep(events=[event for _, event in events], account=account) if events else 0
        faults.sort(key=lambda fault: fault["index"])
        return Response(
            {"kept": len(events), "changed": changed, "faults": faults},
            status=status.HTTP_200_OK if events else status.HTTP_400_BAD_REQUEST,
        )


def _rows(data: Any) -> list[Any]:
    """The events of a request, unchecked. Raises ValidationError."""
    if not isinstance(data, dict):
        raise ValidationError({"events": ["Send an object with a list `events`."]})
    if unknown := sorted(data.keys() - {"events"}):
        raise ValidationError({name: [NO_FIELD] for name in unknown[:20]})
    rows = data.get("events")
    if not isinstance(rows, list) or not rows:
        raise ValidationError({"events": ["Send a list of events that is not empty."]})
    if len(rows) > MAX_EVENTS:
        raise ValidationError({"events": [f"Send at most {MAX_EVENTS:,} events at once, not {len(rows):,}."]})
    return rows
