"""State is many small pieces, of which only the changed ones are written, and a room comes back from them as it was."""

import msgspec
import pytest

from classpulse.aggregate.rooms import MOST_FINALS, Rooms
from classpulse.aggregate.state import Remembered, restored
from classpulse.errors import Fatal
from classpulse.records import Hole, Idle, Record, StateEntry, TimelineBucket
from tests.services.aggregate.stories import (
    CAM,
    ROOM,
    A,
    B,
    Told,
    at,
    beat,
    dropped,
    frame,
    frames,
    plan,
    play,
    remembered,
    told,
)


def names(rooms: Rooms) -> list[str]:
    return [output.key.removeprefix(f"{ROOM}/") for output in rooms.changes()]


def test_nothing_restores_to_nothing_and_writes_nothing() -> None:
    assert restored([]) == {}
    assert Rooms().changes() == []


def test_only_what_a_record_changed_is_written() -> None:
    rooms = Rooms()
    rooms.take(told(plan(A, B)), plan(A, B))
    assert names(rooms) == ["camera/a", "camera/b", "frontier", "plan"]
    assert names(rooms) == []
    first = frame(0, 1_000, at(1), camera=A)
    rooms.take(told(first), first)
    assert names(rooms) == ["camera/a"]
    second = frame(1, 1_200, at(1), camera=A)
    rooms.take(told(second), second)
    assert names(rooms) == ["camera/a"], "no revision was published in this second"


def test_a_camera_ahead_of_another_leaves_its_older_buckets_in_pieces_of_their_own() -> None:
    rooms = Rooms()
    for noun in (plan(A, B), frame(0, 9_900, at(1), camera=A), frame(0, 9_900, at(1), camera=B)):
        rooms.take(told(noun), noun)
    rooms.changes()
    ahead, further = frame(1, 10_900, at(1), camera=A), frame(2, 11_000, at(1), camera=A)
    rooms.take(told(ahead), ahead)
    assert names(rooms) == ["camera/a", "part/0/a"]
    rooms.take(told(further), further)
    assert names(rooms) == ["camera/a"], "the part that is older stays as it is"


def test_a_final_bucket_is_deleted_from_the_state() -> None:
    result = play([plan(CAM), *frames(0, 12_000)], batches=[1], restarts=[0])
    assert sorted(name.removeprefix(f"{ROOM}/") for name in result.state) == [
        "camera/cam",
        "frontier",
        "plan",
    ]


def test_a_bucket_that_came_and_went_within_one_step_is_never_written() -> None:
    result = play([plan(CAM), *frames(0, 12_000)], batches=[1_000], restarts=[0])
    assert not any("/0/" in name or name.endswith("bucket/0") for name in result.state)


def test_a_revision_is_written_with_the_camera_that_remembers_it_though_another_one_told() -> None:
    rooms = Rooms()
    off = [beat(-1, 1_000, "off", camera=camera) for camera in (A, B)]
    for noun in (plan(A, B), *off, Idle(room=ROOM, camera=A, at_ms=10_500)):
        rooms.take(told(noun), noun)
    rooms.changes()
    late = Idle(room=ROOM, camera=B, at_ms=10_600)
    published = [one.noun for one in rooms.take(told(late), late)]
    assert [(bucket.start_ms, bucket.revision) for bucket in published if isinstance(bucket, TimelineBucket)] == [
        (0, 1),
        (10_000, 1),
    ]
    assert names(rooms) == ["camera/a", "camera/b", "part/0/a", "part/0/b"], (
        "its first camera remembers a bucket's revision"
    )


def rich() -> list[Record]:
    """A story that fills every corner of the state."""
    return [
        plan(A, B, delivery="live", at_ms=500),
        *frames(1_000, 3_000, at(1), at(4, "sleeping"), camera=A),
        Hole(camera=A, epoch=0, reason="empty"),
        *frames(0, 1_000, at(2), camera=A, epoch=2),
        dropped(6, 8, 1_200, 1_600, camera=A, epoch=2),
        frame(3, 4_000_000, camera=B, epoch=7),
        plan(A, B, delivery="live", at_ms=600, bucket_ms=15_000),
        frame(9, 5_000_000, at(3), camera=A, epoch=2),
        Hole(camera=B, epoch=0, reason="expired"),
    ]


def test_a_room_comes_back_as_it_was() -> None:
    rooms, kept = Rooms(), Told()
    for noun in rich():
        rooms.take(told(noun), noun)
    kept.remember(rooms.changes())
    again = Rooms(list(kept.state.values()))
    assert remembered(again) == remembered(rooms)
    assert again.rooms()[ROOM].rules == rooms.rooms()[ROOM].rules
    assert again.changes() == []


def test_a_camera_that_joins_again_moves_the_rooms_clock_and_a_restart_finds_it_there() -> None:
    rejoins = [plan(at_ms=20_000), plan(A, at_ms=95_000, delivery="live"), plan(at_ms=97_000)]
    nouns = [plan(A, delivery="live"), *frames(0, 10_000, camera=A), *rejoins]
    uninterrupted = play(nouns, finish=False)
    assert uninterrupted.bytes() == play(nouns, batches=[1], restarts=range(len(nouns)), finish=False).bytes()
    assert max(bucket.start_ms for bucket in uninterrupted.finals) == 90_000, "nobody holds the room any more"


def test_a_part_that_was_older_leaves_with_its_bucket() -> None:
    nouns = [
        plan(A, B),
        *frames(0, 12_000, camera=A),
        *frames(0, 12_000, camera=B),
        *frames(12_200, 30_000, camera=A, first=61),
    ]
    behind = play(nouns, batches=[1], restarts=[len(nouns) - 1], finish=False)
    assert {name for name in behind.state if "/part/" in name} == {
        f"{ROOM}/part/{start}/a" for start in (10_000, 20_000)
    }
    level = play([*nouns, *frames(12_200, 40_000, camera=B, first=61)], batches=[1], restarts=[0], finish=False)
    assert not {name for name in level.state if "/part/10000" in name or "/part/0" in name}


def test_the_pieces_stay_small() -> None:
    crowd = [at(place, behaviour) for place in range(10) for behaviour in ("hand-raising", "stand-up", "sleeping")]
    result = play([plan(CAM), *frames(0, 9_960, *crowd, step_ms=40)], batches=[64], restarts=[0])
    sizes = {name.removeprefix(f"{ROOM}/"): len(entry.payload) for name, entry in result.state.items()}
    assert sizes["camera/cam"] < 6_000, "thirty open spans"
    story, part = msgspec.msgpack.decode(result.state[f"{ROOM}/camera/cam"].payload)
    assert story[0] == CAM
    assert len(msgspec.msgpack.encode(part)) < 250, "ten seconds in which nothing changed are one run"
    assert sizes["frontier"] < 50


def test_a_day_of_silence_leaves_in_steps_and_survives_a_restart() -> None:
    rooms, kept = Rooms(), Told()
    for noun in (plan(CAM), frame(0, 0), beat(0, 24 * 3_600_000)):
        rooms.take(told(noun), noun)
    kept.publish(rooms.finals())
    kept.remember(rooms.changes())
    assert len(kept.finals) == MOST_FINALS
    rooms = Rooms(list(kept.state.values()))
    (room,) = rooms.rooms().values()
    assert room.owed() == (CAM, MOST_FINALS * 10_000)
    while published := rooms.finals():
        kept.publish(published)
    assert [b.start_ms for b in kept.finals] == list(range(0, 24 * 3_600_000 - 10_000, 10_000))
    assert room.owed() is None


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("frontier", b"\xc1", f"state {ROOM}/frontier: .*expected what this version wrote"),
        ("camera/a", msgspec.msgpack.encode({"epoch": 1}), f"state {ROOM}/camera/a: "),
        ("part/x/a", msgspec.msgpack.encode([0, 1]), f"state {ROOM}/part/x/a: invalid literal"),
        ("dream", b"", f"state {ROOM}/dream: unknown kind of piece"),
    ],
)
def test_a_piece_that_cannot_be_read_stops_the_stage(name: str, payload: bytes, expected: str) -> None:
    with pytest.raises(Fatal, match=expected):
        restored([StateEntry(room=ROOM, name=name, payload=payload)])


def test_remembering_knows_what_lies_on_the_bus() -> None:
    remembered = Remembered(Rooms()._room(ROOM))
    remembered.room.changed.add(("part", 0, CAM))
    assert remembered.changes() == [], "what never lay there needs no tombstone"
