"""What a school saw is in its district's timelines once, in order and to the byte, however often the link or the bridge broke."""

import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from classpulse.bridge.main import identity
from classpulse.bus.base import Bus, Member, Place
from classpulse.bus.limits import keep_within
from classpulse.codec import Outgoing, decode, encode
from classpulse.errors import BadInput, Fatal, Fenced, RecordTooLarge, Recoverable, StorageFull
from classpulse.records import DeadLetter, FrameDetections, Hole, Idle, Record, TimelineBucket
from classpulse.topics import DEAD_LETTERS, DETECTIONS, TIMELINES
from tests.services.aggregate.stories import ROOM, SLEEP, A, B, at, beat, dropped, frames, plan
from tests.services.bridge.rig import SITE, Faulty, Killed, School, stored, without_bridge

NOW = 1_700_000_000_000
START = NOW - 120_000


def lesson() -> list[Record]:
    """A minute of two cameras, interleaved: hands, sleepers, drops, heartbeats and holes."""
    told: list[Record] = []
    for camera, place in ((A, 1), (B, 5)):
        story: list[Record] = [beat(-1, START, camera=camera)]
        story += frames(START, START + 20_000, at(place), at(place + 2, SLEEP), camera=camera)
        story += [dropped(101, 103, START + 20_200, START + 20_600, camera=camera)]
        story += [beat(103, START + 21_000, camera=camera), Hole(camera=camera, epoch=0, reason="corrupt_jpeg")]
        story += frames(START + 22_000, START + 40_000, at(place), camera=camera, first=106)
        story += [beat(196, START + 41_000, "silent", camera=camera)]
        story += frames(START + 50_000, START + 60_000, camera=camera, epoch=2)
        story += [beat(50, START + 60_500, "off", camera=camera, epoch=2)]
        told.append(story)  # type: ignore[arg-type]
    draw = random.Random(3)
    left: list[list[Record]] = told  # type: ignore[assignment]
    mixed: list[Record] = []
    while any(left):
        mixed.append(draw.choice([story for story in left if story]).pop(0))
    return mixed


def test_nothing_told_is_nothing_sent() -> None:
    school = School()
    assert school.bridge().turn() == 0
    assert school.crossed() == []


def test_what_crosses_is_the_same_record_and_plans_and_idles_stay() -> None:
    school = School()
    story = lesson()
    school.tell([plan(A, at_ms=NOW), *story[:30], Idle(room=ROOM, camera=A, at_ms=NOW), *story[30:]])
    school.cross()
    told = [
        r
        for r in stored(school.bus, DETECTIONS)
        if not isinstance(decode(r), Idle) and dict(r.headers)["ce_type"] != b"classpulse.RoomPlan.v1"
    ]
    assert [(r.partition, r.key, r.value, r.headers) for r in school.crossed()] == [
        (r.partition, r.key, r.value, r.headers) for r in told
    ]
    assert len(told) == len(story)


@pytest.mark.parametrize("max_records", [1, 7, 1_024])
def test_a_lesson_over_the_bridge_gives_the_same_bytes_as_without_one(max_records: int) -> None:
    school = School()
    school.tell(lesson())
    school.cross(school.bridge(max_records=max_records))
    assert school.district.bytes() == without_bridge(lesson())
    assert len(school.district.bytes()) > 6


@pytest.mark.parametrize(("first", "again"), [(13, 13), (40, 40), (40, 25), (1_024, 60)])
def test_a_bridge_killed_after_every_batch_that_was_acknowledged_counts_nothing_twice(first: int, again: int) -> None:
    """Killed between the two commits: its successor sends the batch again, cut otherwise."""
    school = School()
    school.tell(lesson())
    while True:
        killed: list[BaseException] = [Killed()]
        loop = school.bridge(local=lambda member: Faulty(member, killed), max_records=first)  # type: ignore[arg-type]  # noqa: B023
        with suppress(Killed):
            loop.turn()
        if not school.bridge(max_records=again).turn():
            break
    school.district.turn()
    ids = [dict(r.headers)["ce_id"] for r in school.crossed()]
    twice = {type(decode(r)).__name__ for r in school.crossed() if ids.count(dict(r.headers)["ce_id"]) > 1}
    assert twice == {"FrameDetections", "Dropped", "Heartbeat", "Hole"}, "or the test proves nothing"
    assert school.district.bytes() == without_bridge(lesson())


def test_a_school_without_room_for_its_position_keeps_it_in_mind_and_sends_nothing_again() -> None:
    school = School()
    school.tell(lesson())
    errors: list[BaseException] = [StorageFull("no room"), StorageFull("no room")]
    school.cross(school.bridge(local=lambda member: Faulty(member, errors)))  # type: ignore[arg-type]
    assert len(school.crossed()) == len(lesson())
    assert errors == []


class Line:
    """A link that is away for so many dials."""

    def __init__(self, school: School, refusals: list[Exception]) -> None:
        self.school, self.refusals, self.dialled = school, refusals, 0

    def __call__(self) -> tuple[Bus, Member]:
        self.dialled += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return self.school.dial()


def waiting_s(school: School) -> float | None:
    """How long the oldest record waits for the bridge."""
    return school.metrics.value("oldest_unprocessed_seconds", stage="bridge")


def test_a_bridge_that_starts_without_a_link_reads_nothing_and_says_how_long_it_waits() -> None:
    school = School()
    school.tell(lesson())
    line = Line(school, [Fatal("no broker answers"), Recoverable("busy"), BadInput(["password refused"])])
    loop = school.bridge(line)
    for _ in range(3):
        school.clock.advance(60_000)
        with pytest.raises(Recoverable, match="no link to the district: "):
            loop.turn()
        assert school.bus.positions("bridge", DETECTIONS) == {}
    assert waiting_s(school) >= 180
    school.cross(loop)
    school.clock.advance(1_000)
    loop.turn()
    assert (line.dialled, waiting_s(school)) == (4, 0)
    assert school.district.bytes() == without_bridge(lesson())


def test_without_a_link_the_loop_tries_for_ever_with_growing_waits_until_it_is_told_to_stop() -> None:
    school, stop = School(), threading.Event()
    waits: list[int] = []
    asked = [school.clock.now_ms()]

    def away() -> tuple[Bus, Member]:
        waits.append(school.clock.now_ms() - asked[-1])
        asked.append(school.clock.now_ms())
        if len(waits) == 12:
            stop.set()
        raise Fatal("no broker answers")

    school.bridge(away).run(stop)
    assert waits == [0, 50, 100, 200, 400, 800, 1_600, *[2_000] * 5]


@pytest.mark.parametrize("after", [False, True])
def test_a_link_that_breaks_in_the_middle_ends_the_process_and_the_next_one_goes_on_where_it_broke(after: bool) -> None:
    """Whether the district has got the batch or not: the school was not told."""
    school = School()
    school.tell(lesson())
    bus, inner = school.dial()
    broken: list[BaseException] = []
    loop = school.bridge(lambda: (bus, Faulty(inner, broken, after=after)), max_records=10)  # type: ignore[arg-type,return-value]
    assert loop.turn() == 10
    broken.append(Recoverable("no answer"))
    with pytest.raises(Fatal, match="the link to the district broke: no answer; expected a fresh process"):
        loop.run(threading.Event())
    school.cross()
    assert len(school.crossed()) == len(lesson()) + 10 * after
    assert school.district.bytes() == without_bridge(lesson())


def test_a_record_that_only_the_district_finds_too_large_waits_until_its_topic_is_mended() -> None:
    school = School()
    school.tell(lesson())
    bus, inner = school.dial()
    errors: list[BaseException] = [RecordTooLarge("the broker takes less than topics.py says")] * 3
    school.cross(school.bridge(lambda: (bus, Faulty(inner, errors))))  # type: ignore[arg-type,return-value]
    assert school.district.bytes() == without_bridge(lesson())


def test_two_bridges_of_one_site_fence_each_other_and_two_sites_do_not() -> None:
    school = School()
    school.tell(lesson())
    first = school.bridge(max_records=5)
    assert first.turn() == 5
    other_bus, other = school.dial("another-site")
    assert first.turn() == 5
    bus, second = school.dial(SITE)
    with pytest.raises(Fenced):
        first.turn()
    other.commit([], {})
    second.commit([], {})
    assert bus is other_bus
    school.cross()
    assert school.district.bytes() == without_bridge(lesson())


def spooled(school: School, most_bytes: int) -> None:
    """What the supervisor does now and then."""
    keep_within(school.bus, DETECTIONS, most_bytes)
    assert school.bus.lag("nobody", DETECTIONS)[1] <= most_bytes


def account(buckets: Sequence[TimelineBucket]) -> tuple[int, dict[str, int]]:
    missing: dict[str, int] = {}
    for bucket in buckets:
        for reason, count in bucket.missing.items():
            missing[reason] = missing.get(reason, 0) + count
    return sum(bucket.frames for bucket in buckets), missing


def test_a_spool_within_its_bound_loses_nothing() -> None:
    school = School()
    school.tell(lesson())
    spooled(school, 10**6)
    school.cross()
    assert school.district.bytes() == without_bridge(lesson())


def test_what_the_spool_has_no_room_for_is_missing_as_expired_at_the_district_and_nothing_else_is() -> None:
    school, camera = School(A), A
    school.tell([beat(-1, START, camera=camera), *frames(START, START + 1_000, camera=camera)])
    loop = school.bridge()
    school.cross(loop)
    story = frames(START + 1_200, START + 60_000, at(1), camera=camera, first=6)
    school.tell(story)
    spooled(school, 100_000)
    left = [n for r in stored(school.bus, DETECTIONS) if isinstance(n := decode(r), FrameDetections)]
    assert 0 < len(left) < len(story), "the oldest go first"
    assert left == story[-len(left) :]
    school.tell([beat(300, START + 61_000, "off", camera=camera)])
    school.cross(loop)
    frames_seen, missing = account([b for b in school.district.all_of(TIMELINES, TimelineBucket) if b.final])
    assert missing == {"expired": len(story) - len(left)}
    assert frames_seen + missing["expired"] == 301


def test_the_reason_of_an_expired_spool_survives_a_kill_before_it_was_told() -> None:
    school = School(A)
    school.tell(frames(START, START + 1_000, camera=A))
    school.cross()
    school.tell(frames(START + 1_200, START + 60_000, camera=A, first=6))
    spooled(school, 50_000)
    errors: list[BaseException] = [Killed()]
    with pytest.raises(Killed):
        school.bridge(local=lambda member: Faulty(member, errors)).turn()  # type: ignore[arg-type]
    school.tell([beat(300, START + 61_000, "off", camera=A)])
    school.cross()
    _, missing = account([b for b in school.district.all_of(TIMELINES, TimelineBucket) if b.final])
    assert set(missing) == {"expired"}


@pytest.mark.parametrize("named", [True, False])
def test_an_unreadable_record_is_put_aside_in_the_school_and_missing_by_reason_at_the_district(named: bool) -> None:
    school = School(A)
    school.tell(frames(START, START + 1_000, camera=A))
    good = encode(frames(START + 1_200, START + 1_200, camera=A, first=6)[0], topic=DETECTIONS, at_ms=NOW)
    headers = tuple(h for h in good.headers if named or h[0] != "ce_id")
    school.detect.commit([Outgoing(good.topic, good.partition, good.key, b"{", headers)], {})
    school.tell([*frames(START + 1_400, START + 2_000, camera=A, first=7), beat(10, START + 3_000, "off", camera=A)])
    school.cross()
    (letter,) = [decode(r) for r in stored(school.bus, DEAD_LETTERS)]
    assert isinstance(letter, DeadLetter)
    assert (letter.stage, letter.reason, letter.payload) == ("bridge", "wrong_type", b"{")
    assert stored(school.district.bus, DEAD_LETTERS) == []
    (bucket,) = [b for b in school.district.all_of(TIMELINES, TimelineBucket) if b.final]
    assert (bucket.frames, bucket.missing) == (10, {"wrong_type": 1})


def test_places_of_the_school_are_the_bridges_own(tmp_path: Path) -> None:
    school = School()
    crossing = school.bridge().member
    assert crossing.assignment() == frozenset(Place(DETECTIONS.name, p) for p in range(DETECTIONS.partitions))
    assert crossing.handed_over() == frozenset()
    crossing.close()
    with pytest.raises(Fatal, match="closed"):
        crossing.rewind()


def test_a_data_folder_is_told_from_others_by_a_name_that_stays(tmp_path: Path) -> None:
    one, two = identity(tmp_path / "one"), identity(tmp_path / "two")
    assert (one, two) == (identity(tmp_path / "one"), identity(tmp_path / "two"))
    assert one != two
    (tmp_path / "one" / "bridge.id").write_text("")
    assert identity(tmp_path / "one"), "a file that a power cut left empty is written anew"
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="expected a folder that can be written"):
        identity(tmp_path / "file")
