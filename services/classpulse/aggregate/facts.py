"""aggregate, between the second and the third leg: what a camera's story says, as facts for the room's buckets."""

from collections.abc import Mapping
from typing import NamedTuple

from classpulse.records import BehaviourEvent


class Counted(NamedTuple):
    """One captured frame became detections."""

    at_ms: int
    model: str


class Missed(NamedTuple):
    """`frames` captured frames never will, for one reason; they were taken evenly from `first_ms` to `last_ms`."""

    first_ms: int
    last_ms: int
    frames: int
    reason: str


class Passed(NamedTuple):
    """Time passed at this camera; `due`: somebody was to be observed in it."""

    start_ms: int
    end_ms: int
    due: bool


class Watched(NamedTuple):
    """A frame spoke for this time: so many people in each behaviour that anybody showed."""

    start_ms: int
    end_ms: int
    people: Mapping[str, int]


class Happened(NamedTuple):
    """An event began or ended; `at_ms` is the time of the record that showed it, `trace` the frame's."""

    event: BehaviourEvent
    at_ms: int
    trace: str


Fact = Counted | Missed | Passed | Watched | Happened
