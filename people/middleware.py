"""What a request tells of its sender: the address, for the history."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from people.deeds import sent_from
from people.request import sender_address


class Sender:
    """Whatever is recorded while a request is answered came from its address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with sent_from(sender_address(request)):
            return self.get_response(request)
