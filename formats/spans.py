"""Spans for OpenTelemetry: what requests, jobs and the engine do, and how long it takes.

Off, and nothing of it is imported, unless OTEL_EXPORTER_OTLP_ENDPOINT says where spans go. A parent is told
as the text of W3C's traceparent, in messages and in the environment of programs alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PARENT = "TRACEPARENT"  # the environment of programs
TIMEOUT = "OTEL_EXPORTER_OTLP_TIMEOUT"
PATIENCE = 2.0  # seconds that a program which ends waits for a collector that is away, unless TIMEOUT says
Facts = Mapping[str, str | int | float | bool]
T = TypeVar("T")
_lock = Lock()
_beginning: ContextVar[str] = ContextVar("beginning", default="")  # the request whose span begins just now


class Span(Protocol):
    def set_attributes(self, attributes: Any) -> None: ...

    def update_name(self, name: str) -> None: ...


class _Nothing:
    """The span of a program that makes none."""

    def set_attributes(self, attributes: Any) -> None:
        pass

    def update_name(self, name: str) -> None:
        pass


_NOTHING = _Nothing()


@cache
def is_on() -> bool:
    """By the standard variables of OpenTelemetry, read once: a vote must not pay for spans that are off."""
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not is_disabled and any(os.environ.get(name) for name in ENDPOINTS)


@contextmanager
def span(
    name: str, facts: Facts | None = None, *, kind: str = "INTERNAL", parent: str = ""
) -> Iterator[Span]:
    """A span during a `with` block, below `parent`, by default below the span that is current here.

    Of an error it tells only its class: messages may name people and files.
    """
    if not is_on():
        yield _NOTHING
        return
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    with (
        _provider()
        .get_tracer("scenetag")
        .start_as_current_span(
            name,
            context=context,
            kind=trace.SpanKind[kind],
            attributes=facts,
            record_exception=False,
            set_status_on_exception=False,
        ) as made
    ):
        try:
            yield made
        except BaseException as error:
            made.set_attribute("error.type", type(error).__name__)
            made.set_status(trace.StatusCode.ERROR)
            raise


@contextmanager
def request_span(request_id: str, name: str, facts: Facts | None = None) -> Iterator[Span]:
    """The first span of a request. Its ids follow from the request's id, which a job keeps in its row: so the
    job finds its parent, however often its message is lost, sent again or overtaken.
    """
    token = _beginning.set(request_id)
    try:
        with span(name, facts, kind="SERVER") as made:
            yield made
    finally:
        _beginning.reset(token)


def of_request(request_id: str) -> str:
    """The parent of what this request started; empty if it belongs to none, or is below it here already."""
    if not request_id or not is_on():
        return ""
    trace_id, span_id = _ids(request_id)
    if current()[3:35] == f"{trace_id:032x}":
        return ""
    is_sampled = _provider().sampler.should_sample(None, trace_id, "").decision.is_sampled()  # type: ignore[no-untyped-call]
    return f"00-{trace_id:032x}-{span_id:016x}-{is_sampled:02x}"


def current() -> str:
    """The current span, for what is started elsewhere. Empty if there is none."""
    if not is_on():
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def environment() -> dict[str, str]:
    """What a program needs in its environment to go on with the current span."""
    return {PARENT: current()} if is_on() else {}


def each(name: str, items: Iterable[T]) -> Iterator[T]:
    """The items, with a span for the time that each lets wait."""
    iterator = iter(items)
    while True:
        with span(name):
            item = next(iterator, _END)
        if item is _END:
            return
        yield item  # type: ignore[misc]


_END = object()


def _ids(request_id: str) -> tuple[int, int]:
    digest = sha256(request_id.encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


def _provider() -> TracerProvider:
    with _lock:
        return _made()


@cache
def _made() -> TracerProvider:
    """Made at the first span, so that a program that forks does so before."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            request_id = _beginning.get()
            return _ids(request_id)[0] if request_id else super().generate_trace_id()

        def generate_span_id(self) -> int:
            request_id = _beginning.get()
            _beginning.set("")
            return _ids(request_id)[1] if request_id else super().generate_span_id()

    name = os.environ.get("OTEL_SERVICE_NAME", "scenetag")
    provider = TracerProvider(resource=Resource.create({"service.name": name}), id_generator=Ids())
    exporter = OTLPSpanExporter(timeout=None if os.environ.get(TIMEOUT) else PATIENCE)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
