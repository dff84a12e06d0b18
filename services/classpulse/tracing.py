"""A frame's way as a trace: OpenTelemetry spans from capture to event, joined by the `traceparent` of every record.

Ids are not drawn but derived (codec.py): a record's trace is its frame's, its span the one that sent it. So a replay tells the
same story again, and nothing has to be kept between a poll and its commit. Ingest decides which frames are sampled; whoever
reads a record follows what its flags say (W3C Trace Context, "sampled"). A record that is put aside is told always.

Spans leave in the background, by OTLP over HTTP, for the setting `otlp_endpoint`; where that is empty nothing here is called and
OpenTelemetry is not imported. Names are those of its semantic conventions for messaging.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple, Protocol

from classpulse.codec import Headers, Outgoing, Stored
from classpulse.errors import BadInput, InvalidRecord
from classpulse.settings import Settings, masked

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

SEND_WITHIN_S = 3.0
"""One request, its retries included: so much longer may a process take to end where nobody listens."""

NS_IN_MS = 1_000_000
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])")

At = tuple[str, int, int]
"""Where a record lies: topic, partition, offset."""


class Sink(Protocol):
    """Where ended spans go: a span processor of OpenTelemetry's."""

    def on_end(self, span: "ReadableSpan") -> None:
        """Take it; never blocks."""
        ...


class Ids(NamedTuple):
    """What a record's `traceparent` says."""

    trace: str
    span: str
    sampled: bool


class Times(NamedTuple):
    """A committed step, in milliseconds of the wall clock."""

    began_ms: int
    commit_ms: int
    ended_ms: int


class Tracer:
    """The spans of one stage's process. `one_in`: of so many frames one is sampled, by its trace id: every copy agrees."""

    def __init__(self, stage: str, sink: Sink, *, system: str, one_in: int) -> None:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - only where somebody traces

        self._stage, self._sink, self._system, self._one_in = stage, sink, system, one_in
        self._resource = Resource({"service.name": f"classpulse-{stage}", "service.namespace": "classpulse"})

    def begun(self, output: Outgoing) -> Outgoing:
        """A record that begins a story says whether it is sampled."""
        return _marked(output) if int(_told(output).trace[16:], 16) % self._one_in == 0 else output

    def followed(self, outputs: Sequence[Outgoing], polled: Sequence[Stored]) -> list[Outgoing]:
        """What a step makes of records is sampled where their frame is."""
        traces = {ids.trace for record in polled if (ids := ids_of(record.headers)) and ids.sampled}
        return [_marked(one) if traces and _told(one).trace in traces else one for one in outputs]

    def sent(self, output: Outgoing, *, began_ms: int, ended_ms: int) -> None:
        """A record that begins a story is committed; it began when it was captured."""
        if _told(output).sampled:
            self._tell("send", output, _told(output).span, None, (began_ms, ended_ms))

    def stepped(
        self, polled: Sequence[Stored], outputs: Sequence[Outgoing], failed: Mapping[At, InvalidRecord], times: Times
    ) -> None:
        """A step is committed: what it read and what it wrote; `failed`: why some of its records were put aside."""
        read: dict[str, str] = {}
        senders: set[str] = set()
        for record in polled:
            error = failed.get((record.topic, record.partition, record.offset))
            ids = ids_of(record.headers)
            if ids is not None and (ids.sampled or error is not None):
                senders.add(ids.span)
                read[ids.trace] = own = _digest(f"{self._stage}/{record.topic}/{record.partition}/{record.offset}")
                self._tell("process", record, own, ids.span, (times.began_ms, times.ended_ms), error)
        for output in outputs:
            ids = _told(output)
            if ids.sampled and ids.span not in senders:  # what a bridge passes on was sent by another
                self._tell("send", output, ids.span, read.get(ids.trace), (times.commit_ms, times.ended_ms))

    def _tell(
        self,
        operation: str,
        record: Outgoing | Stored,
        span: str,
        parent: str | None,
        times_ms: tuple[int, int],
        error: InvalidRecord | None = None,
    ) -> None:
        """One span; a consumer's is linked to the producer's whose child it is."""
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
        from opentelemetry.trace import Link, SpanKind, Status, StatusCode  # noqa: PLC0415

        trace = _told(record).trace
        above = None if parent is None else _context(trace, parent)
        consumed = isinstance(record, Stored)
        attributes = {
            "messaging.system": self._system,
            "messaging.operation.type": operation,
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.message.id": (dict(record.headers).get("ce_id") or b"").decode(errors="replace"),
        }
        if isinstance(record, Stored):
            attributes["messaging.kafka.offset"] = str(record.offset)
        if error is not None:
            attributes["error.type"] = error.reason
        self._sink.on_end(
            ReadableSpan(
                name=f"{operation} {record.topic}",
                context=_context(trace, span),
                parent=above,
                resource=self._resource,
                attributes=attributes,
                links=[Link(above)] if consumed and above is not None else [],
                kind=SpanKind.CONSUMER if consumed else SpanKind.PRODUCER,
                status=Status() if error is None else Status(StatusCode.ERROR, str(error)),
                start_time=times_ms[0] * NS_IN_MS,
                end_time=times_ms[1] * NS_IN_MS,
            )
        )


@contextmanager
def tracing(settings: Settings, stage: str) -> Iterator[Tracer | None]:
    """The tracer of a stage's process, which sends what it has when this ends; None where nobody wants traces.

    Raises BadInput for an address that is none, and where OpenTelemetry is not installed.
    """
    url = settings.otlp_endpoint
    if not url:
        yield None
        return
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", url):
        raise BadInput([f"otlp_endpoint = {masked(url)!r}: expected an OTLP receiver over HTTP, http://HOST:4318"])
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        raise BadInput(["otlp_endpoint: OpenTelemetry is not installed; expected `pip install '.[tracing]'`"])
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    exporter = OTLPSpanExporter(f"{url.rstrip('/')}/v1/traces", timeout=SEND_WITHIN_S)
    processor = BatchSpanProcessor(exporter)
    system = settings.bus_as(stage).partition("://")[0]
    try:
        yield Tracer(stage, processor, system=system, one_in=settings.trace_one_in)
    finally:
        processor.shutdown()  # type: ignore[no-untyped-call]


def ids_of(headers: Headers) -> Ids | None:
    """What these headers say of a trace; None where they say nothing that can be read."""
    for name, value in headers:
        if name == "traceparent":
            said = _TRACEPARENT.fullmatch(value)
            return said and Ids(said[1].decode(), said[2].decode(), said[3] == b"1")
    return None


def _told(record: Outgoing | Stored) -> Ids:
    """As `ids_of`; a record that deletes a key has no headers, and is in no trace."""
    return ids_of(record.headers) or Ids("", "", sampled=False)


def _marked(output: Outgoing) -> Outgoing:
    """The record, saying that it is sampled."""
    headers = tuple((name, value[:-1] + b"1" if name == "traceparent" else value) for name, value in output.headers)
    return Outgoing(output.topic, output.partition, output.key, output.value, headers)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _context(trace: str, span: str) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415

    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
