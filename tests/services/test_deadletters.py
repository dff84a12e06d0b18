"""What could not be read can be looked at and given another turn, the same to the byte, on every bus."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from classpulse.bus.base import Bus, Place, open_bus
from classpulse.clock import SystemClock
from classpulse.codec import Outgoing, Stored, encode
from classpulse.deadletters import Attempt, Letter, letters, retry
from classpulse.errors import BadInput, Fenced
from classpulse.records import DeadLetter, Record, TimelineBucket
from classpulse.topics import CAMERAS, DEAD_LETTERS, DETECTIONS, FRAMES, TIMELINES, TOPICS, partition_of
from tests.brokers import running
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import CAM, ROOM, beat, frame, plan

NOW = 1_700_000_000_000
CLOCK = SystemClock()
ODD = (("ce_type", b"classpulse.FrameDetections.v9"), ("odd", b"\x00\xff"))


class Desk:
    """A bus, a room that nobody else uses, and what is put aside of it by hand."""

    def __init__(self, bus: Bus) -> None:
        self.bus, self.room = bus, f"t/s/{uuid.uuid4().hex[:12]}"
        self.bus.create(list(TOPICS.values()))
        self.partition = partition_of(self.room, DETECTIONS.partitions)

    def write(self, *outputs: Outgoing) -> None:
        member = self.bus.member(f"writer-{self.room}", [])
        member.commit(outputs, {})
        member.close()

    def lying(self, topic: str = DETECTIONS.name, partition: int | None = None) -> list[Stored]:
        """The room's records of a topic."""
        place = Place(topic, self.partition if partition is None else partition)
        found = self.bus.fetch(place, 0, max_records=1000, max_bytes=10**7)
        return [record for record in found if record.key == self.room]

    def unreadable(self, value: bytes | None = b"{}", headers: tuple[tuple[str, bytes], ...] = ODD) -> Letter:
        """A record on detections.v1 and its letter."""
        self.write(Outgoing(DETECTIONS.name, self.partition, self.room, value, headers))
        return self.put_aside(offset=self.lying()[-1].offset, payload=value)

    def put_aside(self, *, offset: int, topic: str = DETECTIONS.name, payload: bytes | None = b"{}") -> Letter:
        letter = DeadLetter(
            topic=topic,
            partition=self.partition if topic == DETECTIONS.name else 0,
            offset=offset,
            key=self.room,
            reason="unknown_version",
            detail="schema version '9' of FrameDetections; this process reads 1",
            at_ms=NOW,
            stage="aggregate",
            payload=payload,
        )
        self.write(encode(letter, topic=DEAD_LETTERS, at_ms=NOW))
        return self.letters()[-1]

    def letters(self, **only: str) -> list[Letter]:
        return [one for one in letters(self.bus, **only) if one.noun.key == self.room]

    def retry(self, *which: Letter) -> list[Attempt]:
        return list(retry(self.bus, CLOCK, [letter.id for letter in which]))


@pytest.fixture(params=["memory", "sqlite"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A bus of our own."""
    yield from opened("memory://" if request.param == "memory" else f"sqlite://{tmp_path}/bus.sqlite")


@pytest.fixture(
    params=["sqlite", pytest.param("kafka", marks=(pytest.mark.kafka, pytest.mark.xdist_group("kafka")))],
)
def bus_desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A bus that is more than one process: what only it can get wrong."""
    yield from opened(f"sqlite://{tmp_path}/bus.sqlite" if request.param == "sqlite" else running("plain").url())


def opened(url: str) -> Iterator[Desk]:
    bus = open_bus(url)
    yield Desk(bus)
    bus.close()


def test_where_nothing_was_put_aside_there_is_nothing_to_retry(desk: Desk) -> None:
    assert desk.letters() == []
    assert [a for a in retry(desk.bus, CLOCK, None) if a.letter.noun.key == desk.room] == []


def test_letters_come_oldest_first_and_by_topic_or_reason(desk: Desk) -> None:
    first, second = desk.unreadable(), desk.unreadable()
    assert [one.id for one in desk.letters()] == [first.id, second.id]
    assert first.where == f"classpulse.detections.v1/{desk.partition}@{first.noun.offset}"
    assert desk.letters(topic=FRAMES.name) == desk.letters(reason="empty") == []
    assert len(desk.letters(topic=DETECTIONS.name, reason="unknown_version")) == 2


def test_a_retried_record_is_what_lay_there_to_the_byte_and_its_letter_says_so(bus_desk: Desk) -> None:
    letter = bus_desk.unreadable(b'{"b":1, "a":\xff}')
    (attempt,) = bus_desk.retry(letter)
    assert attempt == Attempt(letter, None)
    before, after = bus_desk.lying()
    assert (after.key, after.partition, after.value, after.headers) == (
        bus_desk.room,
        bus_desk.partition,
        before.value,
        ODD,
    )
    (now,) = bus_desk.letters()
    assert now.retried_at_ms is not None
    assert now.noun == letter.noun


def test_a_record_without_a_value_is_retried_without_one(desk: Desk) -> None:
    desk.retry(desk.unreadable(None))
    assert [record.value for record in desk.lying()] == [None, None]


def test_nothing_is_published_twice(desk: Desk) -> None:
    letter = desk.unreadable()
    desk.retry(letter)
    (again,) = desk.retry(letter)
    assert again.refused is not None
    assert again.refused.startswith("was retried at ")
    assert [a for a in retry(desk.bus, CLOCK, None) if a.letter.noun.key == desk.room] == []
    assert len(desk.lying()) == 2


def test_a_second_retry_at_the_same_time_fences_the_first_and_does_what_it_had_not(bus_desk: Desk) -> None:
    one, two, three = bus_desk.unreadable(), bus_desk.unreadable(), bus_desk.unreadable()
    ids = [one.id, two.id, three.id]
    first = retry(bus_desk.bus, CLOCK, ids)
    assert next(first).refused is None
    done = [attempt.letter.id for attempt in retry(bus_desk.bus, CLOCK, ids) if attempt.refused is None]
    with pytest.raises(Fenced):
        next(first)
    assert done == [two.id, three.id]
    assert len(bus_desk.lying()) == 6


def test_what_cannot_be_retried_is_refused_and_the_others_are_done(desk: Desk) -> None:
    picture = desk.put_aside(offset=0, topic=FRAMES.name, payload=None)
    gone = desk.put_aside(offset=10**9)
    other = desk.put_aside(offset=desk.unreadable().noun.offset, payload=b"something else")
    unknown = desk.put_aside(offset=0, topic="classpulse.lessons.v7")
    good = desk.unreadable()
    attempts = desk.retry(picture, gone, other, unknown, good)
    assert [attempt.refused for attempt in attempts] == [
        "classpulse.frames.v1 holds pictures, of which nothing is kept or published again",
        "its record is gone",
        "another record lies in its place now",
        "classpulse.lessons.v7 is no topic of this version",
        None,
    ]
    assert desk.letters()[-1].retried_at_ms is not None


def test_a_plan_of_another_day_is_not_put_in_force_again(desk: Desk) -> None:
    old = encode(plan(config=None), topic=DETECTIONS, at_ms=0)
    (attempt,) = desk.retry(desk.unreadable(b"[]", old.headers))
    assert attempt.refused == "RoomPlan was said for its own moment, and would change what holds now"


def test_an_older_record_never_takes_the_place_of_the_latest_of_its_key(desk: Desk) -> None:
    desk.write(Outgoing(CAMERAS.name, 0, desk.room, b"{}", ()))
    letter = desk.put_aside(offset=desk.lying(CAMERAS.name, 0)[-1].offset, topic=CAMERAS.name)
    (attempt,) = desk.retry(letter)
    assert attempt.refused == "classpulse.cameras.v1 keeps the latest of each key, whose place it would take"


def test_an_id_that_is_none_s_is_named_before_anything_is_published(desk: Desk) -> None:
    letter = desk.unreadable()
    with pytest.raises(BadInput, match=rf"id = {10**9}: no dead letter; expected one that `list` shows"):
        list(retry(desk.bus, CLOCK, [letter.id, 10**9]))
    assert len(desk.lying()) == 1


# What another turn does in aggregate: a record that could not be read because it said it was captured too early.


def too_early(sequence: int) -> Outgoing:
    return encode(frame(sequence, Rig().clock.now_ms() + 60_000 + 200 * sequence), topic=DETECTIONS, at_ms=0)


def counted(rig: Rig) -> tuple[int, dict[str, int]]:
    """Frames and missing ones of the final buckets."""
    finals = [bucket for bucket in rig.all_of(TIMELINES, TimelineBucket) if bucket.final]
    missing: dict[str, int] = {}
    for bucket in finals:
        for reason, count in bucket.missing.items():
            missing[reason] = missing.get(reason, 0) + count
    return sum(bucket.frames for bucket in finals), missing


def ended(rig: Rig, *more: Record) -> tuple[int, dict[str, int]]:
    rig.tell([*more, beat(2, rig.clock.now_ms() + 1_000, "off")])
    rig.turn()
    return counted(rig)


def test_a_run_of_records_that_is_retried_before_its_camera_tells_more_is_in_the_timeline() -> None:
    rig = Rig()
    rig.write(*map(too_early, range(3)))
    rig.turn()
    rig.clock.advance(120_000)
    assert [attempt.refused for attempt in retry(rig.bus, rig.clock, None)] == [None] * 3
    assert ended(rig) == (3, {})


def test_a_record_that_is_retried_after_its_camera_told_more_stays_missing() -> None:
    rig = Rig()
    rig.write(*map(too_early, range(2)))
    rig.turn()
    rig.clock.advance(120_000)
    rig.tell([frame(2, rig.clock.now_ms())])
    rig.turn()
    assert [attempt.refused for attempt in retry(rig.bus, rig.clock, None)] == [None] * 2
    assert ended(rig) == (1, {"from_the_future": 2})
    assert (CAM.startswith(ROOM), len(rig.all_of(DEAD_LETTERS, DeadLetter))) == (True, 2)
