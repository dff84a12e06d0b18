"""bus → Parquet, first half: final buckets and ended events as the flat rows that analysts read.

A timeline has one row a bucket and behaviour: a usual behaviour has its row in every bucket, any other where it was seen.
Figures are absent where nothing was seen, and `seen` says why, so that "nothing happened" (0), "nothing was seen" and
"nobody was to be observed" never look alike.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple
from urllib.parse import quote

from classpulse.reading import USUAL_BEHAVIOURS, local
from classpulse.records import BehaviourEvent, TimelineBucket

Kind = Literal["timelines", "events"]
Row = dict[str, object]

TIMELINE_COLUMNS: dict[str, str] = {
    "room": "text",
    "start_ms": "whole",
    "end_ms": "whole",
    "start_utc": "moment",
    "start_local": "moment",
    "time_zone": "text",
    "behaviour": "text",
    "events": "whole",
    "person_ms": "whole",
    "peak": "whole",
    "seen": "text",
    "due_ms": "whole",
    "observed_ms": "whole",
    "frames": "whole",
    "missing_frames": "whole",
    "missing": "text",
    "models": "text",
}
EVENT_COLUMNS: dict[str, str] = {
    "room": "text",
    "id": "text",
    "camera": "text",
    "behaviour": "text",
    "start_ms": "whole",
    "end_ms": "whole",
    "duration_ms": "whole",
    "start_utc": "moment",
    "start_local": "moment",
    "time_zone": "text",
    "model": "text",
}
COLUMNS: dict[Kind, dict[str, str]] = {"timelines": TIMELINE_COLUMNS, "events": EVENT_COLUMNS}
"""Column → what it holds: `text`, `whole` (a 64-bit number) or `moment` (a timestamp in milliseconds, without a zone)."""


class Shelf(NamedTuple):
    """Where rows lie under an export folder: `kind/school=TENANT%2FSCHOOL/day=YYYY-MM-DD`; the day is the room's own."""

    kind: Kind
    school: str
    day: str

    @property
    def path(self) -> str:
        """The folder, as DuckDB and others read it back (hive partitions)."""
        return f"{self.kind}/school={quote(self.school, safe='')}/day={self.day}"


def school_of(room: str) -> str:
    """`tenant/school` of a room's key."""
    return room.rpartition("/")[0]


def shelf_of(noun: BehaviourEvent | TimelineBucket, time_zone: str) -> Shelf:
    """Where a noun's rows belong: by its start on the room's own clock."""
    kind: Kind = "events" if isinstance(noun, BehaviourEvent) else "timelines"
    return Shelf(kind, school_of(noun.room), local(start_of(noun), time_zone).date().isoformat())


def start_of(noun: BehaviourEvent | TimelineBucket) -> int:
    """When it began."""
    return noun.started_at_ms if isinstance(noun, BehaviourEvent) else noun.start_ms


def rows_of(noun: BehaviourEvent | TimelineBucket, time_zone: str) -> Iterator[Row]:
    """The rows of a final bucket or of an ended event."""
    if isinstance(noun, BehaviourEvent):
        yield _event_row(noun, time_zone)
        return
    names = (*USUAL_BEHAVIOURS, *sorted(noun.behaviours.keys() - set(USUAL_BEHAVIOURS)))
    for name in names:
        yield {
            **_when(noun.room, noun.start_ms, noun.end_ms, time_zone),
            "behaviour": name,
            **_figures(noun, name),
            "seen": _seen(noun),
            "due_ms": noun.due_ms,
            "observed_ms": noun.observed_ms,
            "frames": noun.frames,
            "missing_frames": sum(noun.missing.values()),
            "missing": json.dumps(noun.missing, sort_keys=True),
            "models": ",".join(noun.models),
        }


def _event_row(event: BehaviourEvent, time_zone: str) -> Row:
    end_ms = event.started_at_ms if event.ended_at_ms is None else event.ended_at_ms
    return {
        **_when(event.room, event.started_at_ms, end_ms, time_zone),
        "id": event.id,
        "camera": "/".join(event.id.split("/")[:4]),
        "behaviour": event.behaviour,
        "duration_ms": end_ms - event.started_at_ms,
        "model": event.model,
    }


def _when(room: str, start_ms: int, end_ms: int, time_zone: str) -> Row:
    return {
        "room": room,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "start_utc": local(start_ms, "UTC").replace(tzinfo=None),
        "start_local": local(start_ms, time_zone).replace(tzinfo=None),
        "time_zone": time_zone,
    }


def _figures(bucket: TimelineBucket, behaviour: str) -> Mapping[str, int | None]:
    """A behaviour's numbers; absent where nothing was seen and nothing was counted either."""
    totals = bucket.behaviours.get(behaviour)
    if totals is None:
        nothing = 0 if bucket.observed_ms else None
        return {"events": nothing, "person_ms": nothing, "peak": nothing}
    return {"events": totals.events, "person_ms": totals.person_ms, "peak": totals.peak}


def _seen(bucket: TimelineBucket) -> str:
    """How much of the time in which somebody was to be observed was seen."""
    if bucket.due_ms == 0:
        return "nobody due"
    if bucket.observed_ms == 0:
        return "nothing"
    return "all" if bucket.observed_ms >= bucket.due_ms else "part"
