"""A frame's way as a trace, from capture to event, as a collector gets it over OTLP."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from classpulse.codec import decode, encode, frame_trace
from classpulse.errors import BadInput
from classpulse.reading import stored_records
from classpulse.records import Frame, FrameDetections
from classpulse.settings import Settings
from classpulse.topics import DETECTIONS, EVENTS, FRAMES, Topic
from classpulse.tracing import ids_of, tracing
from tests.otlp import Receiver, attribute, receiving
from tests.route.rig import FRONT, LONG_MS, NOW_MS, STEP_MS, Bright, Route

SENT_FRAME, READ_FRAME = f"send {FRAMES.name}", f"process {FRAMES.name}"
SENT_SEEN, READ_SEEN = f"send {DETECTIONS.name}", f"process {DETECTIONS.name}"
SENT_EVENT = f"send {EVENTS.name}"
WAY = (SENT_FRAME, READ_FRAME, SENT_SEEN, READ_SEEN, SENT_EVENT)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def played(receiver: Receiver, one_in: int, *, stages: tuple[str, ...] = ("ingest", "detect", "aggregate")) -> Route:
    """A lesson's way through the route, of which the stages told; all has been sent."""
    settings = Settings(otlp_endpoint=receiver.url, trace_one_in=one_in, bus="kafka://broker:9092")
    with ExitStack() as ending:
        tracers = {stage: ending.enter_context(tracing(settings, stage)) for stage in stages}
        route = Route({stage: tracer for stage, tracer in tracers.items() if tracer is not None})
        route.ingest(FRONT, [Bright(pts_ms) for pts_ms in range(0, LONG_MS, STEP_MS)])
        route.timeline()
    return route


def flags(route: Route, topic: Topic) -> list[tuple[str, bool]]:
    """(trace, whether it is sampled) of every frame on a topic, or of what was seen in it."""
    found = (record for part in range(topic.partitions) for record in stored_records(route.bus, topic, part))
    said = [ids_of(record.headers) for record in found if isinstance(decode(record), Frame | FrameDetections)]
    return [(ids.trace, ids.sampled) for ids in said if ids is not None]


def test_nobody_who_wants_traces_makes_none() -> None:
    with tracing(Settings(), "detect") as tracer:
        assert tracer is None
    route = Route()
    route.ingest(FRONT, [Bright(0)])
    assert [sampled for _, sampled in flags(route, FRAMES)] == [False]


def test_an_event_is_the_end_of_a_way_that_begins_at_the_capture_of_its_frame(receiver: Receiver) -> None:
    played(receiver, 1)
    (event,) = (
        one for one in receiver.named(SENT_EVENT) if attribute(one, "messaging.message.id").endswith("/started")
    )
    spans = {span.name: span for _, span in receiver.spans if span.trace_id == event.trace_id}
    assert set(spans) == set(WAY)
    assert not spans[SENT_FRAME].parent_span_id
    for above, below in pairwise(WAY):
        assert spans[below].parent_span_id == spans[above].span_id
    for sent, read in ((SENT_FRAME, READ_FRAME), (SENT_SEEN, READ_SEEN)):
        assert spans[sent].kind == Span.SPAN_KIND_PRODUCER
        assert spans[read].kind == Span.SPAN_KIND_CONSUMER
        assert [link.span_id for link in spans[read].links] == [spans[sent].span_id]
    first, *_ = receiver.named(SENT_FRAME)
    after_ms = (spans[SENT_FRAME].start_time_unix_nano - first.start_time_unix_nano) // 1_000_000
    assert 5_500 <= after_ms < 5_500 + STEP_MS, "a hand goes up at 5 s and counts after half a second"
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in spans.values())
    assert attribute(event, "messaging.system") == "kafka"


def test_every_stage_tells_under_its_own_name(receiver: Receiver) -> None:
    played(receiver, 1)
    assert {(service, span.name) for service, span in receiver.spans if span.name in WAY} == {
        ("classpulse-ingest", SENT_FRAME),
        ("classpulse-detect", READ_FRAME),
        ("classpulse-detect", SENT_SEEN),
        ("classpulse-aggregate", READ_SEEN),
        ("classpulse-aggregate", SENT_EVENT),
    }


def test_of_many_frames_few_are_traced_the_same_by_every_stage_and_the_flags_say_which(receiver: Receiver) -> None:
    route = played(receiver, 10)
    frames = flags(route, FRAMES)
    chosen = {trace for trace, sampled in frames if sampled}
    assert len(frames) == LONG_MS // STEP_MS
    assert 5 <= len(chosen) <= 30, "about one of ten"
    assert {trace for trace, sampled in flags(route, DETECTIONS) if sampled} == chosen
    assert {span.trace_id.hex() for _, span in receiver.spans} == chosen
    for name in WAY[:-1]:
        assert {span.trace_id.hex() for span in receiver.named(name)} == chosen


def test_what_fails_is_told_though_it_was_not_sampled(receiver: Receiver) -> None:
    settings = Settings(otlp_endpoint=receiver.url, trace_one_in=1_000_000)
    frame = Frame(
        camera=FRONT, epoch=1, sequence=0, captured_at_ms=NOW_MS, interval_ms=200, width=8, height=8, jpeg=b"no picture"
    )
    with tracing(settings, "detect") as tracer:
        assert tracer is not None
        route = Route({"detect": tracer})
        route.tell(FRONT, [frame])
        route.detect()
    assert route.dead() == ["corrupt_jpeg"]
    ((service, span),) = receiver.spans
    assert (service, span.name, span.status.code) == ("classpulse-detect", READ_FRAME, Status.STATUS_CODE_ERROR)
    assert "expected" in span.status.message
    assert attribute(span, "error.type") == "corrupt_jpeg"
    assert attribute(span, "messaging.message.id") == f"{FRONT}/1/0"
    assert span.trace_id.hex() == frame_trace(FRONT, 1, 0)


def test_a_record_whose_traceparent_cannot_be_read_is_in_no_trace_and_is_handled(receiver: Receiver) -> None:
    frame = Frame(
        camera=FRONT, epoch=1, sequence=0, captured_at_ms=NOW_MS, interval_ms=200, width=8, height=8, jpeg=b"no picture"
    )
    output = encode(frame, topic=FRAMES, at_ms=NOW_MS)
    headers = tuple((name, b"00-zz-1-01" if name == "traceparent" else value) for name, value in output.headers)
    with tracing(Settings(otlp_endpoint=receiver.url, trace_one_in=1), "detect") as tracer:
        assert tracer is not None
        route = Route({"detect": tracer})
        route.tell(FRONT, [replace(output, headers=headers)])
        route.detect()
    assert route.dead() == ["corrupt_jpeg"]
    assert receiver.spans == []


def test_where_nobody_listens_the_route_goes_on_and_its_processes_end() -> None:
    with receiving() as gone:
        pass
    route = played(gone, 1)
    assert len(flags(route, DETECTIONS)) == LONG_MS // STEP_MS


@pytest.mark.parametrize("url", ["collector:4318", "grpc://collector:4317", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with (
        pytest.raises(BadInput, match=rf"otlp_endpoint = '{url}': expected an OTLP receiver over HTTP"),
        tracing(Settings(otlp_endpoint=url), "detect"),
    ):
        pass
