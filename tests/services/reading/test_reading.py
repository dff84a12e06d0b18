import pytest

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock, SystemClock
from classpulse.codec import encode
from classpulse.errors import BadInput
from classpulse.reading import (
    State,
    collapsed,
    known_room,
    merged,
    moment,
    offset_at,
    read_room,
    room_configs,
    rooms_on,
    stored_records,
)
from classpulse.records import RoomConfig
from classpulse.roster import Roster
from classpulse.topics import EVENTS, TOPICS, partition_of
from tests.services.reading.stories import EIGHT_MS, ROOM, a_bucket, a_room, an_event, bus_with

MINUTE_MS = 60_000
ALIKE = ROOM + "5"
"""A room whose key begins like ROOM's and which shares its partitions."""


def test_an_empty_bus_has_no_rooms_and_a_room_on_it_no_time() -> None:
    bus = bus_with()
    timeline = read_room(bus, ROOM)
    assert rooms_on(bus) == ()
    assert (timeline.cells, timeline.spans, timeline.coverage) == ((), (), None)


def test_a_room_is_configured_as_it_is_now_whatever_is_announced() -> None:
    bus = bus_with()
    roster = Roster(bus, SystemClock())
    roster.write([RoomConfig(room=ROOM, time_zone="Europe/Berlin")])
    roster.write([RoomConfig(room=ROOM, time_zone="UTC", valid_from_ms=SystemClock().now_ms() + 60 * MINUTE_MS)])
    assert room_configs(bus)[ROOM].time_zone == "Europe/Berlin"


def test_a_room_without_a_record_in_the_time_asked_for_is_one_stretch_without_a_record() -> None:
    timeline = read_room(bus_with(a_room()), ROOM, from_ms=EIGHT_MS, to_ms=EIGHT_MS + MINUTE_MS)
    assert [(cell.state, cell.duration_ms) for cell in timeline.cells] == [(State.UNRECORDED, MINUTE_MS)]


@pytest.mark.parametrize(
    ("bucket", "state"),
    [
        (a_bucket(0, due_ms=0, observed_ms=0), State.NOBODY),
        (a_bucket(0, observed_ms=0), State.UNSEEN),
        (a_bucket(0), State.QUIET),
        (a_bucket(0, hands=(0, 0, 0)), State.QUIET),
        (a_bucket(0, hands=(0, 400, 1)), State.ACTIVE),
        (a_bucket(0, observed_ms=4000), State.QUIET),
    ],
)
def test_a_bucket_is_exactly_one_of_nobody_unseen_quiet_and_active(bucket: tuple, state: State) -> None:  # type: ignore[type-arg]
    (cell,) = read_room(bus_with(bucket), ROOM).cells
    assert cell.state is state


def test_a_bucket_seen_in_part_says_how_much_was_not_seen() -> None:
    (cell,) = read_room(bus_with(a_bucket(0, due_ms=8000, observed_ms=3000)), ROOM).cells
    assert (cell.unseen_ms, cell.nobody_ms) == (5000, 2000)


def test_coverage_is_seen_over_due_and_time_with_nobody_to_be_observed_does_not_count() -> None:
    bus = bus_with(a_bucket(0), a_bucket(1, observed_ms=5000), a_bucket(2, due_ms=0, observed_ms=0))
    assert read_room(bus, ROOM).coverage == 0.75


def test_the_latest_revision_of_a_bucket_is_read() -> None:
    bus = bus_with(a_bucket(0, revision=1, final=False), a_bucket(0, hands=(1, 900, 1), revision=2))
    (cell,) = read_room(bus, ROOM).cells
    assert (cell.final, cell.totals("hand-raising").events) == (True, 1)


def test_another_room_whose_key_begins_alike_is_not_read() -> None:
    assert partition_of(ALIKE, EVENTS.partitions) == partition_of(ROOM, EVENTS.partitions)
    bus = bus_with(a_bucket(0, room=ALIKE, hands=(5, 5000, 5)), a_bucket(0), an_event(0, 900, room=ALIKE))
    timeline = read_room(bus, ROOM)
    assert (len(timeline.cells), timeline.cells[0].state, timeline.spans) == (1, State.QUIET, ())


def test_a_hole_between_buckets_is_a_cell_without_a_record() -> None:
    states = [cell.state for cell in read_room(bus_with(a_bucket(0), a_bucket(3)), ROOM).cells]
    assert states == [State.QUIET, State.UNRECORDED, State.QUIET]


def test_limits_choose_what_touches_them_and_half_open_ends_do_not_touch() -> None:
    bus = bus_with(*(a_bucket(i) for i in range(4)), an_event(1000, 9999), an_event(15_000, 16_000))
    timeline = read_room(bus, ROOM, from_ms=EIGHT_MS + 10_000, to_ms=EIGHT_MS + 20_000)
    assert [cell.start_ms - EIGHT_MS for cell in timeline.cells] == [10_000]
    assert [span.started_at_ms - EIGHT_MS for span in timeline.spans] == [15_000]


def test_started_and_ended_are_one_span_and_what_only_started_still_lasts() -> None:
    bus = bus_with(a_room(), a_bucket(0), an_event(1000), an_event(3000), an_event(1000, 2500))
    first, second = read_room(bus, ROOM).spans
    assert (first.ended_at_ms, second.ended_at_ms) == (EIGHT_MS + 2500, None)
    assert second.end_or(EIGHT_MS + 10_000) == EIGHT_MS + 10_000
    assert first.camera == f"{ROOM}/cam-1"


def test_more_events_than_one_page_are_all_read() -> None:
    bus = bus_with(*(an_event(10 * i, 10 * i + 5) for i in range(2500)))
    assert len(read_room(bus, ROOM).spans) == 2500


def test_merging_adds_events_and_times_and_keeps_the_greatest_peak() -> None:
    bus = bus_with(
        a_bucket(0, hands=(2, 3000, 2)), a_bucket(1, hands=(1, 500, 1), observed_ms=6000, missing={"stale": 4})
    )
    (cell,) = merged(read_room(bus, ROOM).cells, MINUTE_MS)
    totals = cell.totals("hand-raising")
    assert (totals.events, totals.person_ms, totals.peak) == (3, 3500, 2)
    assert (cell.recorded_ms, cell.observed_ms, dict(cell.missing)) == (20_000, 16_000, {"stale": 4})


def test_merging_spreads_a_hole_over_every_step_it_covers() -> None:
    timeline = read_room(bus_with(a_bucket(0), a_bucket(30)), ROOM)
    cells = merged(timeline.cells, MINUTE_MS)
    assert [cell.state for cell in cells] == [State.QUIET] + [State.UNRECORDED] * 4 + [State.QUIET]
    assert sum(cell.duration_ms for cell in cells) == 310_000


def test_a_night_collapses_to_one_line_and_a_partly_seen_bucket_stays_alone() -> None:
    night = [a_bucket(i, due_ms=0, observed_ms=0) for i in range(5)]
    bus = bus_with(*night, a_bucket(5), a_bucket(6), a_bucket(7, observed_ms=100), a_bucket(8))
    shown = [(cell.state, cell.duration_ms) for cell in collapsed(read_room(bus, ROOM).cells)]
    assert shown == [(State.NOBODY, 50_000), (State.QUIET, 20_000), (State.QUIET, 10_000), (State.QUIET, 10_000)]


def test_a_room_is_known_by_its_key_or_by_its_last_part() -> None:
    bus = bus_with(a_room())
    assert known_room(bus, ROOM) == known_room(bus, "room-1") == ROOM


def test_an_unknown_room_names_the_nearest() -> None:
    bus = bus_with(a_room(), a_room(room="demo/school/hall"))
    with pytest.raises(BadInput, match=r"room = 'demo/school/roon-1': no such room; .*nearest is 'demo/school/room-1'"):
        known_room(bus, "demo/school/roon-1")


def test_a_room_of_two_schools_asks_for_the_whole_key() -> None:
    bus = bus_with(a_room(), a_room(room="demo/other/room-1"))
    with pytest.raises(BadInput, match="several rooms; expected one of demo/other/room-1, demo/school/room-1"):
        known_room(bus, "room-1")


def test_a_data_folder_without_rooms_says_so() -> None:
    with pytest.raises(BadInput, match="room = 'room-1': there are no rooms on this bus"):
        known_room(bus_with(), "room-1")


@pytest.mark.parametrize(
    ("text", "after_eight_ms"),
    [
        ("2026-03-02T08:15:00+01:00", 15 * MINUTE_MS),
        ("2026-03-02T07:15:00Z", 15 * MINUTE_MS),
        ("08:15", 15 * MINUTE_MS),
        ("8:15:30", 15 * MINUTE_MS + 30_000),
    ],
)
def test_a_moment_is_rfc3339_or_the_rooms_own_clock(text: str, after_eight_ms: int) -> None:
    now_ms = EIGHT_MS + 3 * 3_600_000
    assert moment(text, key="--from", time_zone="Europe/Berlin", now_ms=now_ms) == EIGHT_MS + after_eight_ms


@pytest.mark.parametrize("text", ["", "noon", "25:00", "2026-03-02T08:15:00", "8"])
def test_a_moment_that_is_neither_names_key_value_and_expectation(text: str) -> None:
    with pytest.raises(
        BadInput, match=rf"--from = '{text}': expected RFC 3339 such as .* HH:MM today in Europe/Berlin"
    ):
        moment(text, key="--from", time_zone="Europe/Berlin", now_ms=EIGHT_MS)


def test_the_offset_of_a_time_is_the_first_record_appended_since() -> None:
    bus = bus_with()
    partition = partition_of(ROOM, EVENTS.partitions)
    assert offset_at(bus, EVENTS, partition, EIGHT_MS) == 0
    clock = ManualClock(EIGHT_MS)
    writer = MemoryBus(clock=clock)
    writer.create(list(TOPICS.values()))
    for i in range(10):
        writer.member("writer", []).commit([encode(an_event(i)[1], topic=EVENTS, at_ms=EIGHT_MS)], {})
        clock.advance(1_000)
    writer.forget(EVENTS, {partition: 3})
    times = [EIGHT_MS, EIGHT_MS + 3_000, EIGHT_MS + 6_001, EIGHT_MS + 60_000]
    assert [offset_at(writer, EVENTS, partition, at_ms) for at_ms in times] == [3, 3, 7, 10]
    read = stored_records(writer, EVENTS, partition, start=5, end=7)
    assert [record.offset for record in read] == [5, 6]
