"""What a request says beside its photos. A field that is unknown, given twice or wrong is refused by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

SHOWN = 50  # characters of a name that nobody knows
CSRF = "csrfmiddlewaretoken"  # which forms of pages bring along


def read_fields(
    request: Request, kind: type[serializers.Serializer[Any]], *, files: Collection[str] = ()
) -> dict[str, Any]:
    """The fields in the address and in the form, as the serializer `kind` reads them. `files` are the names
    of fields that take files, any number of them.

    Raises ValidationError that names each field which is unknown, given more than once, or wrong.
    """
    serializer = kind()
    known = [*files, *serializer.fields]
    errors: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    for source in (request.query_params, request.POST):
        for name, given in source.lists():
            if name == CSRF and source is request.POST:
                continue
            if name in files:
                errors[name] = ["This must be a file in a form, not a text."]
            elif name not in serializer.fields:
                errors[name[:SHOWN]] = [_unknown(known)]
            elif len(given) > 1 or name in values:
                errors[name] = ["This field is given more than once."]
            else:
                values[name] = given[0]
    errors |= {name[:SHOWN]: [_unknown(known)] for name in request.FILES if name not in files}
    serializer = kind(data=values)
    if not serializer.is_valid():
        errors = {**serializer.errors, **errors}
    if errors:
        raise ValidationError(errors)
    fields: dict[str, Any] = serializer.validated_data
    return fields


def _unknown(known: Collection[str]) -> str:
    return (
        f"Unknown field. Known: {', '.join(sorted(known))}."
        if known
        else "Unknown field: none is known here."
    )
