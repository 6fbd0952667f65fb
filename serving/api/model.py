"""GET /api/v1/model: which model answers now, and whether that has changed since a program last looked."""

from __future__ import annotations

from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mapping.hashtags import blocked_names
from serving.api import described
from serving.api.active import describe, describe_challenger, etag_of, load_active
from serving.api.fields import read_fields
from serving.api.refusals import MaySuggest


class ModelView(APIView):
    permission_classes = [MaySuggest]

    @extend_schema(**described.MODEL)
    def get(self, request: Request) -> HttpResponseBase:
        read_fields(request, serializers.Serializer)
        chooser, network = load_active()
        blocked = blocked_names()
        challenger = describe_challenger(chooser, blocked)
        facts = describe(chooser.active, network, blocked)
        etag = etag_of(facts["tag"], challenger)
        headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}
        response = Response(facts | {"etag": etag, "challenger": challenger}, headers=headers)
        return get_conditional_response(request._request, etag=headers["ETag"], response=response) or response
