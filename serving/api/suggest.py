"""POST /api/v1/suggest and …/stream: take photos, answer with hashtags or the reason for silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import copy_context
from functools import partial

from django.conf import settings
from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from formats.json_text import to_json
from mapping.api.base import me
from serving.api import described
from serving.api.active import load_active
from serving.api.answers import Desk
from serving.api.options import Options
from serving.api.photos import PhotoBody, read_photos
from serving.api.refusals import MaySuggest
from serving.api.throttle import PhotoThrottle

END = object()
LINES = "application/x-ndjson"


def open_desk(request: Request, options: Options) -> Desk:
    """Raises NoModel and BrokenModel."""
    chooser, network = load_active()
    return Desk(chooser, network, options, owner=me(request).pk)


class SuggestView(APIView):
    permission_classes = [MaySuggest]
    parser_classes = [MultiPartParser, PhotoBody]
    throttle_classes = [PhotoThrottle]
    throttle_scope = "suggest"

    @extend_schema(**described.SUGGEST)
    def post(self, request: Request) -> Response:
        options = Options.read(request)
        photos = read_photos(request, most=settings.MAX_REQUEST_PHOTOS)
        desk = open_desk(request, options)
        if len(photos) == 1:
            return Response(desk.answer(photos[0]))
        return Response({"answers": list(desk.answer_each(photos))})


class JSONForAll(DefaultContentNegotiation):
    """Errors before the first line are JSON, whatever the program accepts: it may have asked for lines."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class StreamView(APIView):
    permission_classes = [MaySuggest]
    parser_classes = [MultiPartParser]
    content_negotiation_class = JSONForAll
    throttle_classes = [PhotoThrottle]
    throttle_scope = "suggest"

    @extend_schema(**described.STREAM)
    def post(self, request: Request) -> HttpResponseBase:
        options = Options.read(request)
        photos = read_photos(request, most=settings.MAX_STREAM_PHOTOS)
        desk = open_desk(request, options)
        lines = (to_json(answer) + "\n" for answer in desk.answer_each(photos))
        headers = {"X-Accel-Buffering": "no"}  # nginx would collect the lines
        return StreamingHttpResponse(_as_now(lines), content_type=LINES, headers=headers)


def _as_now(lines: Iterator[str]) -> Iterator[str]:
    """The lines, made under what holds now: how long a photo may wait for memory is set only while a view
    runs, and these lines are made after it.
    """
    return iter(partial(copy_context().run, next, lines, END), END)  # type: ignore[arg-type]
