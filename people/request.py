"""The request that views of signed-in people get, with the types that Django's stubs cannot know."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict
from django_htmx.middleware import HtmxDetails
from rest_framework.throttling import BaseThrottle


class Request(HttpRequest):
    """For annotations only. LoginRequiredMiddleware lets nobody else in, and HtmxMiddleware adds `htmx`."""

    user: User
    htmx: HtmxDetails


def read_form(request: HttpRequest) -> tuple[QueryDict | None, MultiValueDict[str, UploadedFile[Any]] | None]:
    """The fields and files of the form that was sent: empty ones for an empty form, which is checked as any
    other, and None if none was sent.
    """
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)


def sender_address(request: HttpRequest) -> str:
    """The address from which a request reaches the outermost of our PROXIES."""
    return BaseThrottle().get_ident(request) or ""  # type: ignore[arg-type]


def client_address(request: HttpRequest) -> str:
    """What limits count by: the sender's address. For IPv6 it is the network, because one sender has all
    addresses of a /64.
    """
    text = sender_address(request)
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
