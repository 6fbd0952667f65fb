"""Every address of the site, read from the resolver."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True)
class Address:
    name: str  # as `reverse` takes it; the route, if it has none
    route: str  # "mapping/<int:pk>/"

    def path(self, arguments: Mapping[str, object]) -> str:
        """Filled in with the arguments of these names."""
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(arguments[found[1]]), self.route)

    @property
    def is_api(self) -> bool:
        return self.route.startswith("api/v1/")

    @property
    def has_arguments(self) -> bool:
        return "<" in self.route


def all_addresses() -> list[Address]:
    return list(_addresses(get_resolver().url_patterns))


def _addresses(
    patterns: list[URLPattern | URLResolver], route: str = "", namespace: str = ""
) -> Iterator[Address]:
    for pattern in patterns:
        whole = route + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _addresses(pattern.url_patterns, whole, inner)
        else:
            yield Address(f"{namespace}{pattern.name}" if pattern.name else whole, whole)
