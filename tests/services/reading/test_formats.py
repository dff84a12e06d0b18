import csv
import io
import json
import re

import pytest
from rich.console import Console
from rich.table import Table

from classpulse.formats import (
    MOST_EVENTS,
    MOST_ROWS,
    events_csv,
    events_json,
    events_table,
    missing_text,
    seconds_text,
    share_text,
    timeline_csv,
    timeline_json,
    timeline_table,
)
from classpulse.reading import RoomTimeline, read_room
from tests.services.reading.stories import ROOM, a_bucket, a_room, an_event, bus_with


def shown(table: Table) -> str:
    console = Console(width=200, record=True, file=io.StringIO(), color_system=None)
    console.print(table)
    return console.export_text()


def every_state() -> RoomTimeline:
    return read_room(
        bus_with(
            a_room(),
            a_bucket(0, hands=(2, 5000, 2)),
            a_bucket(1),
            a_bucket(2, observed_ms=0, missing={"stale": 100}),
            a_bucket(3, due_ms=0, observed_ms=0),
            a_bucket(5, observed_ms=4000, final=False),
            an_event(1000, 3500),
            an_event(2000),
        ),
        ROOM,
    )


def test_an_empty_room_has_a_head_and_no_lines_in_every_format() -> None:
    empty = read_room(bus_with(a_room()), ROOM)
    assert "no record of this time" in shown(timeline_table(empty))
    assert "no record of this time" in shown(events_table(empty))
    assert "1970" not in shown(timeline_table(empty))
    assert json.loads(timeline_json(empty))["buckets"] == json.loads(events_json(empty))["events"] == []
    assert len(timeline_csv(empty).splitlines()) == len(events_csv(empty).splitlines()) == 1


def test_nobody_due_and_no_record_are_not_told_alike() -> None:
    nobody = read_room(bus_with(a_room(), a_bucket(0, due_ms=0, observed_ms=0)), ROOM)
    assert "nobody was to be observed" in shown(timeline_table(nobody))


def test_a_table_of_very_many_buckets_takes_longer_steps_and_says_so() -> None:
    busy = read_room(bus_with(a_room(), *(a_bucket(n, hands=(1, 1000, 1)) for n in range(2 * MOST_ROWS))), ROOM)
    lines = shown(timeline_table(busy)).splitlines()
    rows = [line for line in lines if "active" in line]
    assert MOST_ROWS // 2 < len(rows) <= MOST_ROWS + 1
    assert sum(int(re.split(r" {2,}", row.strip())[3].split()[0]) for row in rows) == 2 * MOST_ROWS
    assert any("30.0 s a line; --from and --to show less of the time, closer" in line for line in lines)


def test_a_table_of_very_many_events_shows_the_last_and_says_so() -> None:
    told = [an_event(100 * n, 100 * n + 50) for n in range(MOST_EVENTS + 7)]
    table = shown(events_table(read_room(bus_with(a_room(), a_bucket(0), *told), ROOM)))
    assert table.count("hand-raising") == MOST_EVENTS
    assert f"the last {MOST_EVENTS} of {MOST_EVENTS + 7} events; --from and --to choose others" in table


def test_the_table_shows_each_state_in_other_words_and_other_signs() -> None:
    lines = shown(timeline_table(every_state())).splitlines()
    rows = [line for line in lines if "08:00:" in line]
    assert [
        sign in row for row, sign in zip(rows, ["2  0.5  2", "·", "╱╱╱", "░░░", "no record", "in part"], strict=True)
    ] == [True] * 6
    assert [re.split(r" {2,}", row.strip())[1] for row in rows[:4]] == [
        "active",
        "quiet",
        "not seen",
        "nobody to be observed",
    ]


def test_what_nobody_could_have_seen_is_null_in_json_and_empty_in_csv_and_never_zero() -> None:
    buckets = json.loads(timeline_json(every_state()))["buckets"]
    assert [bucket["behaviours"] is None for bucket in buckets] == [False, False, True, True, True, False]
    rows = list(csv.DictReader(timeline_csv(every_state()).splitlines()))
    assert [row["hand-raising events"] for row in rows] == ["2", "0", "", "", "", "0"]
    assert [row["state"] for row in rows] == [
        "active",
        "quiet",
        "not seen",
        "nobody to be observed",
        "no record",
        "quiet",
    ]
    assert rows[2]["missing"] == "100 stale"
    assert [row["final"] for row in rows][-1] == "false"


def test_events_keep_their_length_and_what_still_lasts_has_no_end() -> None:
    events = json.loads(events_json(every_state()))["events"]
    assert [(e["started"], e["ended"]) for e in events] == [
        ("2026-03-02T07:00:01.000Z", "2026-03-02T07:00:03.500Z"),
        ("2026-03-02T07:00:02.000Z", None),
    ]
    table = shown(events_table(every_state()))
    assert "2.5 s" in table
    assert "still lasts" in table
    assert "08:00:01.0" in table
    assert list(csv.DictReader(events_csv(every_state()).splitlines()))[1]["ended"] == ""


@pytest.mark.parametrize(
    ("share", "text"), [(None, "–"), (0.0, "0.0 %"), (0.9999, "99.9 %"), (1.0, "100 %"), (0.5, "50.0 %")]
)
def test_a_share_short_of_the_whole_never_reads_as_the_whole(share: float | None, text: str) -> None:
    assert share_text(share) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(0, "0.0 s"), (4200, "4.2 s"), (60_000, "1 min"), (185_000, "3 min 05 s"), (4_320_000, "1 h 12 min")],
)
def test_durations_read_as_people_say_them(duration_ms: int, text: str) -> None:
    assert seconds_text(duration_ms) == text


def test_missing_frames_are_told_by_reason_and_reasons_without_frames_are_not() -> None:
    assert missing_text({}) == ""
    assert missing_text({"stale": 3, "empty": 0, "bad_size": 1}) == "1 bad_size, 3 stale"
