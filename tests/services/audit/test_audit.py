"""An audit accounts for every captured frame by the logs alone, and names the first bucket where it does not add up."""

import pytest

from classpulse.accounts import Account
from classpulse.audit import audit
from classpulse.bus.base import Place
from classpulse.codec import Outgoing, decode, encode
from classpulse.records import FrameDetections, Hole, IngestState, RoomPlan, room_of
from classpulse.recount import Counts, Fault
from classpulse.topics import AGGREGATE_STATE, DETECTIONS, FRAMES, INGEST_STATE, partition_of
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import CAM, ROOM, A, B, beat, frame, frames, plan
from tests.services.aggregate.test_promises import interleaved
from tests.services.audit.logs import NOW, PARTITION, START, lesson, off, played, publish, without


@pytest.fixture
def rig() -> Rig:
    return Rig()


# Where it adds up.


def test_an_empty_log_adds_up_and_has_no_account(rig: Rig) -> None:
    result = audit(rig.bus)
    assert (result.balanced, result.accounts, result.from_ms, result.span_ms) == (True, (), {}, None)


def test_a_lesson_that_is_over_adds_up_by_reason(rig: Rig) -> None:
    result = audit(played(rig, [*lesson(), off()]).bus)
    assert result.accounts == (Account(CAM, 300, 294, {"lost_in_crash": 3, "stale": 3}),)
    assert result.balanced
    assert result.span_ms == (START, START + 60_000)


def test_cameras_of_one_room_have_accounts_of_their_own(rig: Rig) -> None:
    rig.tell([plan(A, B)])
    played(rig, interleaved([[*lesson(A), off(A)], [*lesson(B, seconds=30), off(B, seconds=30)]], [0, 1]))
    result = audit(rig.bus)
    assert [(a.camera, a.captured, a.in_timelines) for a in result.accounts] == [(A, 300, 294), (B, 150, 148)]
    assert result.balanced


def test_a_hole_has_the_reason_that_was_told_for_it(rig: Rig) -> None:
    told = [
        *frames(START, START + 1_000),
        Hole(camera=CAM, epoch=0, reason="expired"),
        *frames(START + 5_000, START + 6_000, first=20),
    ]
    (account,) = audit(played(rig, [*told, beat(25, START + 7_000, "off")]).bus).accounts
    assert account == Account(CAM, 26, 12, {"expired": 14})


def test_what_comes_late_of_a_superseded_epoch_is_counted_once(rig: Rig) -> None:
    told = [
        *frames(START, START + 1_000),
        frame(0, START + 2_000, epoch=2),
        frame(8, START + 1_600),
        frame(8, START + 1_600),
    ]
    (account,) = audit(played(rig, [*told, beat(0, START + 9_000, "off", epoch=2)]).bus).accounts
    assert account == Account(CAM, 10, 7, {"lost_in_crash": 2, "superseded": 1})


def test_a_record_that_nobody_could_read_is_missing_with_its_reason(rig: Rig) -> None:
    first, second, third = (encode(frame(i, START + 200 * i), topic=DETECTIONS, at_ms=0) for i in range(3))
    rig.write(first, Outgoing(second.topic, second.partition, second.key, b"{", second.headers), third)
    result = audit(played(rig, [beat(2, START + 9_000, "off")]).bus)
    assert result.accounts == (Account(CAM, 3, 2, {"wrong_type": 1}),)


def test_frames_counted_in_a_later_bucket_than_their_own_are_found_there(rig: Rig) -> None:
    """A camera that joins behind its room's final buckets: what it tells of their time is counted in the open one."""
    rig.tell([plan(A)])
    played(rig, lesson(A), [*lesson(B, seconds=30), off(B, seconds=30)], [off(A)])
    result = audit(rig.bus)
    assert result.balanced
    assert result.accounts[1] == Account(B, 150, 148, {"lost_in_crash": 1, "stale": 1})
    early = audit(rig.bus, to_ms=START + 30_000)
    assert early.balanced
    assert early.accounts[1].captured == 0


# Where it does not.


def test_a_detection_that_is_gone_is_named_with_its_bucket_and_both_numbers(rig: Rig) -> None:
    played(rig, [*lesson(), off()])
    gone = START + 20_000
    records = rig.bus.fetch(Place(DETECTIONS.name, PARTITION), 0, max_records=10**6, max_bytes=10**9)
    (offset,) = [r.offset for r in records if isinstance(n := decode(r), FrameDetections) and n.captured_at_ms == gone]
    result = audit(without(rig, offset))
    assert result.faults == (Fault(ROOM, gone, Counts(50, {}), Counts(49, {"lost_in_crash": 1})),)
    assert not result.balanced
    assert audit(without(rig, -1)).balanced


def test_a_bucket_that_counts_a_frame_too_few_is_its_cameras_difference_too(rig: Rig) -> None:
    played(rig, [*lesson(), off()])
    publish(rig, START + 20_000, frames=49)
    result = audit(rig.bus)
    assert result.faults == (Fault(ROOM, START + 20_000, Counts(49, {}), Counts(50, {})),)
    assert result.accounts[0].difference == 1


def test_the_first_of_several_buckets_is_named_and_the_others_counted(rig: Rig) -> None:
    played(rig, [*lesson(), off()])
    for start in (START + 30_000, START + 10_000):
        publish(rig, start, missing={"stale": 7})
    (fault,) = audit(rig.bus).faults
    assert (fault.start_ms, fault.buckets) == (START + 10_000, 2)
    assert fault.published.missing == {"stale": 7}


def test_two_cameras_that_do_not_add_up_to_their_room_are_a_fault_of_the_room(rig: Rig) -> None:
    played(rig, [plan(A, B), *interleaved([[*lesson(A), off(A)], [*lesson(B), off(B)]], [0, 1])])
    publish(rig, START, frames=101)
    result = audit(rig.bus)
    assert result.faults == (Fault(ROOM, START, Counts(101, {}), Counts(100, {})),)
    assert [account.difference for account in result.accounts] == [0, 0]


@pytest.mark.parametrize("last", [False, True])
def test_a_bucket_that_was_never_published_is_a_fault(rig: Rig, last: bool) -> None:
    played(rig, [*lesson(), off()])
    start = START + (50_000 if last else 20_000)
    bucket = publish(rig, start, final=False)
    (fault,) = audit(rig.bus).faults
    assert fault[:3] == (ROOM, start, Counts(0, {}))
    assert fault.given == Counts(bucket.frames, bucket.missing)


def test_a_bucket_of_frames_that_no_detection_tells_of_is_a_fault(rig: Rig) -> None:
    bucket = publish(played(rig, [*lesson(), off()]), START, start_ms=START - 10_000, end_ms=START)
    (fault,) = audit(rig.bus).faults
    assert fault[:4] == (ROOM, START - 10_000, Counts(bucket.frames, bucket.missing), Counts(0, {}))


# A window.


def test_a_window_is_whole_buckets_and_sees_no_fault_outside(rig: Rig) -> None:
    played(rig, [*lesson(), off()])
    publish(rig, START + 50_000, frames=1)
    result = audit(rig.bus, from_ms=START + 12_345, to_ms=START + 30_001)
    assert result.span_ms == (START + 10_000, START + 40_000)
    assert result.accounts == (Account(CAM, 150, 146, {"lost_in_crash": 2, "stale": 2}),)
    assert not audit(rig.bus, from_ms=START + 30_000).balanced


def test_a_window_is_read_from_near_it_on_where_that_is_enough(rig: Rig) -> None:
    rig.camera(CAM, "live")
    for hour in range(3 * 24):
        rig.turn(after_ms=NOW + hour * 3_600_000 + 30_000 - rig.clock.now_ms())
        rig.tell(lesson(start=NOW + hour * 3_600_000, epoch=1 + hour, seconds=20))
        rig.turn()
    told: list[int] = []
    start = NOW + 60 * 3_600_000
    result = audit(rig.bus, from_ms=start, to_ms=start + 3_600_000, advance=told.append)
    assert (result.balanced, result.from_ms) == (True, {})
    assert [(a.captured, a.in_timelines) for a in result.accounts] == [(100, 98)]
    assert 0 < sum(told) < rig.bus.ends(DETECTIONS)[PARTITION][1]


def test_only_the_rooms_asked_for_are_audited(rig: Rig) -> None:
    other = "t/s/other/cam"
    played(rig, [*lesson(), off(), *lesson(other), off(other)])
    assert [account.camera for account in audit(rig.bus, ["t/s/other"]).accounts] == [other]
    assert len(audit(rig.bus).accounts) == 2


# Retention.


def test_a_log_that_was_cut_is_compared_behind_all_that_may_have_been_told_before(rig: Rig) -> None:
    rig.camera(CAM, "live")
    rig.turn()
    (first,) = rig.all_of(DETECTIONS, RoomPlan)
    for second in range(60):
        rig.tell([*lesson(start=NOW)[5 * second : 5 * second + 5], *([first] if second == 20 else [])])
        rig.turn()
    cut = rig.bus.ends(DETECTIONS)[PARTITION][1] // 4
    rig.bus.forget(DETECTIONS, {PARTITION: cut})
    result = audit(rig.bus)
    (from_ms,) = result.from_ms.values()
    assert from_ms == NOW + 22_000 + 10_000, "what was told before the cut was told of no later time"
    assert result.span_ms == (NOW + 40_000, NOW + 60_000)
    assert result.accounts == (Account(CAM, 100, 50, {}, not_yet={"not final": 50}),)
    publish(rig, NOW + 30_000, frames=1)
    assert audit(rig.bus).balanced
    publish(rig, NOW + 40_000, frames=1)
    assert not audit(rig.bus).balanced


def test_where_all_detections_have_expired_nothing_is_compared(rig: Rig) -> None:
    played(rig, [plan(CAM), *lesson(), off()])
    rig.bus.forget(DETECTIONS, {PARTITION: rig.bus.ends(DETECTIONS)[PARTITION][1]})
    assert audit(rig.bus).accounts == ()


# What ingest has counted.


def ingested(rig: Rig, next_sequence: int, *, read: bool, epoch: int = 1) -> None:
    """Ingest's own count after its last frame, and whether detect has read that."""
    state = IngestState(
        camera=CAM,
        source="file:///x",
        epoch=epoch,
        next_sequence=next_sequence,
        last_ms=START + 60_000,
        position_ms=0,
        started_at_ms=0,
    )
    partition = partition_of(CAM, FRAMES.partitions)
    rig.write(encode(state, topic=INGEST_STATE, at_ms=0), Outgoing(FRAMES.name, partition, CAM, b"", ()))
    if read:
        rig.bus.member("detect", [FRAMES]).commit([], {Place(FRAMES.name, partition): 1})


def test_frames_on_their_way_to_detect_are_not_yet_looked_at(rig: Rig) -> None:
    ingested(played(rig, [*lesson(), off()]), 305, read=False)
    (account,) = audit(rig.bus).accounts
    assert (account.captured, account.not_yet, account.difference) == (305, {"not looked at": 5}, 0)


def test_frames_that_detect_has_read_and_never_told_are_the_difference(rig: Rig) -> None:
    ingested(played(rig, [*lesson(), off()]), 305, read=True)
    result = audit(rig.bus)
    assert (result.accounts[0].difference, result.balanced) == (5, False)
    assert audit(rig.bus, to_ms=START + 70_000).balanced, "what ingest has counted has no time"


def test_a_camera_of_which_detect_has_told_nothing_has_an_account(rig: Rig) -> None:
    ingested(rig, 7, read=False)
    assert audit(rig.bus).accounts == (Account(CAM, 7, 0, {}, not_yet={"not looked at": 7}),)


def test_an_epoch_that_only_ingest_knows_is_on_its_way(rig: Rig) -> None:
    ingested(played(rig, [*lesson(), off()]), 4, read=False, epoch=2)
    (account,) = audit(rig.bus).accounts
    assert (account.captured, account.not_yet) == (304, {"not looked at": 4})


def test_aggregate_s_own_state_is_not_read(rig: Rig) -> None:
    played(rig, [*lesson(), off()])
    rig.bus.forget(AGGREGATE_STATE, {PARTITION: 10**6})
    assert audit(rig.bus).balanced


def test_hidden_rooms_are_audited_only_where_they_are_named(rig: Rig) -> None:
    hidden = "t/s/canary-1/0"
    bus = played(rig, [*lesson(), off()], [*lesson(hidden), off(hidden)]).bus
    state = IngestState(
        camera=hidden, source="", epoch=1, next_sequence=300, last_ms=NOW, position_ms=0, started_at_ms=START
    )
    bus.member("ingest", ()).commit([encode(state, topic=INGEST_STATE, at_ms=NOW)], {})
    assert [account.camera for account in audit(bus).accounts] == [CAM]
    assert [account.camera for account in audit(bus, [room_of(hidden)]).accounts] == [hidden]
