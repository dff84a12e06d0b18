"""A replay gives what was published byte for byte, or names the first difference."""

from pathlib import Path

import msgspec
import pytest

from classpulse.bus.base import Place
from classpulse.codec import decode, encode
from classpulse.records import BehaviourEvent, Heartbeat, Hole, Record, TimelineBucket
from classpulse.replay import records_stored, replay
from classpulse.topics import DETECTIONS, EVENTS, TIMELINES, partition_of
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import CAM, ROOM, A, B, at, beat, dropped, frame, frames

NOW = 1_700_000_000_000
START = NOW - 120_000
DAY_MS = 24 * 3_600_000


@pytest.fixture
def rig() -> Rig:
    return Rig()


def lesson(camera: str, start: int = START, epoch: int = 1, minutes: int = 1) -> list[Record]:
    """A minute (or more) in which a hand goes up every ten seconds; a drop, a hole and its reason."""
    nouns: list[Record] = []
    for i in range(300 * minutes):
        seen = [at(1 + i // 50 % 3)] if i % 50 < 12 else []
        if i % 100 == 70:
            nouns.append(dropped(i, i, start + 200 * i, start + 200 * i, camera=camera, epoch=epoch))
        elif i % 100 == 80:
            nouns.append(Hole(camera=camera, epoch=epoch, reason="corrupt_jpeg"))
        else:
            nouns.append(frame(i, start + 200 * i, *seen, camera=camera, epoch=epoch))
    return nouns


def ended(camera: str, start: int = START, epoch: int = 1, minutes: int = 1) -> Heartbeat:
    return beat(300 * minutes - 1, start + 60_000 * minutes, "off", camera=camera, epoch=epoch)


def test_an_empty_bus_is_equal_and_gives_empty_files(rig: Rig, tmp_path: Path) -> None:
    result = replay(rig.bus, tmp_path / "out")
    assert (result.equal, result.records, result.events, result.buckets, result.from_ms) == (True, 0, 0, 0, {})
    assert (tmp_path / "out" / "events.jsonl").read_bytes() == b""
    assert (tmp_path / "out" / "timelines.jsonl").read_bytes() == b""


def played(rig: Rig) -> Rig:
    """Two planned rooms with two cameras, one of which ends while the other is still open."""
    for camera in (A, B, "t/s/other/cam"):
        rig.camera(camera)
    rig.turn()
    for camera in (A, B, "t/s/other/cam"):
        rig.tell(lesson(camera))
        rig.turn()
        rig.start(max_records=7)
    rig.tell([ended(A), ended("t/s/other/cam")])
    rig.turn()
    return rig


def test_what_was_published_comes_out_again(rig: Rig, tmp_path: Path) -> None:
    result = replay(played(rig).bus, tmp_path)
    assert result.equal, result.difference
    assert (result.events, result.from_ms) == (6 * 3, {})
    assert result.buckets == 6 + 5, "B holds its room's last bucket"
    events = (tmp_path / "events.jsonl").read_bytes().splitlines()
    buckets = (tmp_path / "timelines.jsonl").read_bytes().splitlines()
    assert sorted(events + buckets) == sorted(rig.bytes())
    assert all(b'"revision"' not in line for line in buckets)


def test_its_progress_adds_up_to_all_that_is_stored(rig: Rig) -> None:
    played(rig)
    done: list[int] = []
    result = replay(rig.bus, advance=done.append)
    assert sum(done) == records_stored(rig.bus) == result.records > 0


def test_a_running_aggregate_need_not_be_stopped(rig: Rig) -> None:
    played(rig)
    rig.tell([ended(B), *lesson(A, START + 60_000, epoch=2)])
    result = replay(rig.bus)
    assert result.equal, "what it has not read yet is not expected"
    rig.loop.turn()
    assert replay(rig.bus).equal


def test_what_was_published_after_the_position_was_read_is_compared_too(rig: Rig) -> None:
    played(rig)
    rig.tell(lesson(B, START + 60_000, epoch=2))
    bus = rig.bus
    positions, asked = bus.positions, []

    class Moving:
        """A bus on which aggregate goes on while a replay looks."""

        def __getattr__(self, name: str) -> object:
            return getattr(bus, name)

        def positions(self, group: str, topic: object) -> dict[int, int]:
            found = positions(group, DETECTIONS)
            asked.append(topic)
            if len(asked) == 1 + 2 * partition_of(ROOM, DETECTIONS.partitions):
                rig.turn()
            return found

    result = replay(Moving())  # type: ignore[arg-type]
    assert result.equal, result.difference
    assert result.events > 18


def change_event(rig: Rig, **fields: object) -> BehaviourEvent:
    """Publish one ended event again, changed."""
    event = next(e for e in rig.all_of(EVENTS, BehaviourEvent) if e.phase == "ended" and e.room == ROOM)
    changed = msgspec.structs.replace(event, **fields)
    rig.write(encode(changed, topic=EVENTS, at_ms=0))
    return event


def test_an_event_published_twice_is_a_difference(rig: Rig) -> None:
    event = change_event(played(rig))
    assert replay(rig.bus).difference == f"{event.id}: published twice; expected once"


def test_an_event_that_nothing_explains_is_a_difference(rig: Rig) -> None:
    change_event(played(rig), id=f"{CAM}/1/dancing/5/0")
    assert f"{CAM}/1/dancing/5/0: published {{" in (replay(rig.bus).difference or "")
    assert "the replay does not give it" in (replay(rig.bus).difference or "")


def test_a_bucket_that_differs_is_named_with_both_sides(rig: Rig) -> None:
    played(rig)
    bucket = next(b for b in rig.all_of(TIMELINES, TimelineBucket) if b.final and b.room == ROOM)
    rig.write(encode(msgspec.structs.replace(bucket, frames=9_999), topic=TIMELINES, at_ms=0))
    result = replay(rig.bus)
    assert not result.equal
    difference = result.difference or ""
    assert difference.startswith(f"{ROOM}/{bucket.start_ms}: published {{")
    assert '"frames":9999' in difference
    assert 'the replay gives {"behaviours"' in difference


def test_a_revision_alone_is_no_difference(rig: Rig) -> None:
    played(rig)
    bucket = next(b for b in rig.all_of(TIMELINES, TimelineBucket) if b.final)
    rig.write(encode(msgspec.structs.replace(bucket, revision=77), topic=TIMELINES, at_ms=0))
    assert replay(rig.bus).equal


def test_what_was_never_published_is_a_difference(rig: Rig) -> None:
    played(rig)
    partition = partition_of(ROOM, TIMELINES.partitions)
    kept = list(rig.bus.latest(TIMELINES, partition=partition))
    gone = next(r for r in kept if r.key.startswith(f"{ROOM}/") and decode(r).final)  # type: ignore[attr-defined]
    rig.bus._logs[Place(TIMELINES.name, partition)].remove(gone.offset)
    difference = replay(rig.bus).difference or ""
    assert difference.startswith(f"{gone.key}: the replay gives {{")
    assert difference.endswith("it was not published")


def test_a_cut_log_is_compared_from_where_a_fresh_aggregator_knows_enough(rig: Rig) -> None:
    cut_at = after_a_cut(rig)
    result = replay(rig.bus)
    assert result.equal, result.difference
    from_ms = result.from_ms[ROOM]
    assert from_ms is not None
    assert cut_at < from_ms < cut_at + 60_000
    assert result.events > 20


def test_a_difference_behind_a_cut_is_still_found(rig: Rig) -> None:
    after_a_cut(rig)
    last = [b for b in rig.all_of(TIMELINES, TimelineBucket) if b.final and b.room == ROOM][-1]
    rig.write(encode(msgspec.structs.replace(last, due_ms=1), topic=TIMELINES, at_ms=0))
    assert (replay(rig.bus).difference or "").startswith(f"{ROOM}/{last.start_ms}: published")


def after_a_cut(rig: Rig) -> int:
    """Eight days of which retention left the last seven, in the middle of a hand; gives the time of the cut."""
    rig.camera(A)
    rig.turn()
    rig.tell(lesson(A, minutes=2)[:-1])
    rig.turn()
    cut_ms = 7 * DAY_MS + 60_000
    rig.clock.advance(cut_ms)
    start = NOW + cut_ms - 300_000
    for part in range(5):
        nouns = lesson(A, start, epoch=2, minutes=5)[300 * part : 300 * part + 300]
        rig.turn()  # the plan is logged again: it is a day old
        rig.tell(nouns)
        rig.turn()
    rig.tell([ended(A, start, epoch=2, minutes=5)])
    rig.turn()
    rig.bus.retain(rig.clock.now_ms())
    assert rig.bus.ends(DETECTIONS)[partition_of(ROOM, DETECTIONS.partitions)][0] > 0
    return start


def test_a_cut_room_without_a_plan_since_is_not_compared(rig: Rig) -> None:
    rig.tell(lesson(A))
    rig.turn()
    rig.clock.advance(8 * DAY_MS)
    rig.bus.retain(rig.clock.now_ms())
    rig.tell(frames(NOW, NOW + 1_000, camera=A, epoch=2))
    rig.turn()
    result = replay(rig.bus)
    assert (result.equal, result.events, result.buckets, result.from_ms) == (True, 0, 0, {ROOM: None})
