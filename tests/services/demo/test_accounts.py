from pathlib import Path

import pytest

from classpulse.accounts import Account, Ledger
from classpulse.aggregate.camera_story import PAST_EPOCHS
from classpulse.demo.accounts import accounts, captured, clip_frames
from classpulse.errors import BadInput
from classpulse.records import Hole
from classpulse.topics import DETECTIONS, FRAMES, TIMELINES
from tests.services.demo.log import (
    CAMERA,
    ROOM,
    Log,
    a_clip,
    a_played_lesson,
    bucket,
    detected,
    dropped,
    frame,
    heartbeat,
)


def of(log: Log) -> Account:
    (account,) = accounts(log.bus, [CAMERA])
    return account


def test_an_empty_log_has_an_account_of_nothing_and_it_balances() -> None:
    account = of(Log())
    assert account == Account(CAMERA, captured=0, in_timelines=0, dropped={})
    assert account.balanced


def test_a_lesson_played_without_loss_balances_over_three_logs_and_its_clip() -> None:
    (account,) = accounts(a_played_lesson().bus, [CAMERA], {CAMERA: 200})
    assert account == Account(CAMERA, captured=200, in_timelines=200, dropped={}, clip_frames=200)
    assert account.balanced


@pytest.mark.parametrize(
    "account",
    [
        Account(CAMERA, captured=10, in_timelines=9, dropped={}),
        Account(CAMERA, captured=10, in_timelines=9, dropped={"stale": 2}),
        Account(CAMERA, captured=10, in_timelines=10, dropped={}, clip_frames=11),
    ],
)
def test_a_frame_too_few_or_too_many_anywhere_does_not_balance(account: Account) -> None:
    assert not account.balanced


def test_captured_is_the_highest_sequence_of_each_epoch_whoever_told_of_it() -> None:
    log = Log()
    log.put(FRAMES, frame(0), frame(1), dropped(2, 4, "queue_full"), frame(0, epoch=1), heartbeat(6, epoch=1))
    assert captured(log.bus, CAMERA) == 5 + 7


def test_a_story_told_again_from_its_beginning_captures_nothing_more_or_less() -> None:
    log = Log()
    log.put(FRAMES, *(frame(i) for i in range(5)), frame(0), frame(1))
    assert captured(log.bus, CAMERA) == 5


def test_captured_counts_what_retention_has_removed_already() -> None:
    log = Log()
    log.put(FRAMES, frame(0), frame(1))
    log.clock.advance(11 * 60_000)
    log.put(FRAMES, frame(2))
    assert log.bus.retain(log.clock.now_ms()) == 2
    assert captured(log.bus, CAMERA) == 3


def test_drops_are_counted_by_the_reason_that_was_told() -> None:
    log = Log()
    log.put(FRAMES, *(frame(i) for i in range(10)))
    log.put(DETECTIONS, detected(0), dropped(1, 3, "stale"), detected(4), dropped(5, 5, "corrupt_jpeg"))
    log.put(DETECTIONS, dropped(6, 8, "stale"), detected(9))
    log.put(TIMELINES, bucket(0, frames=3))
    account = of(log)
    assert (account.dropped, account.balanced) == ({"corrupt_jpeg": 1, "stale": 6}, True)


def test_a_hole_has_the_reason_told_before_it_and_without_one_it_was_lost() -> None:
    log = Log()
    log.put(DETECTIONS, detected(0), Hole(camera=CAMERA, epoch=0, reason="expired"), detected(3), detected(5))
    log.put(DETECTIONS, heartbeat(7))
    assert of(log).dropped == {"expired": 2, "lost_in_crash": 3}


def test_what_is_told_twice_is_counted_once() -> None:
    log = Log()
    story = [detected(0), dropped(1, 2, "stale"), detected(3), heartbeat(3)]
    log.put(DETECTIONS, *story, *story)
    assert of(log).dropped == {"stale": 2}


def test_what_comes_late_of_a_superseded_epoch_is_superseded() -> None:
    log = Log()
    log.put(DETECTIONS, detected(0), detected(0, epoch=1), detected(1), detected(2), detected(1, epoch=1))
    assert of(log).dropped == {"superseded": 2}


def test_only_so_many_superseded_epochs_are_remembered_as_by_aggregate() -> None:
    ledger = Ledger()
    for epoch in range(PAST_EPOCHS + 4):
        ledger.tell(detected(1, epoch=epoch))
    captured = ledger.captured
    assert (captured, len(ledger.told)) == (2 * (PAST_EPOCHS + 4), PAST_EPOCHS + 1)
    ledger.tell(detected(9, epoch=2))
    assert ledger.captured == captured, "what comes late of an older epoch is told already"
    ledger.tell(detected(2, epoch=3))
    assert (ledger.captured, ledger.dropped["superseded"]) == (captured + 1, 1)


def test_two_cameras_of_a_room_are_told_apart_by_their_detections() -> None:
    log = Log()
    other = f"{ROOM}/back"
    log.put(DETECTIONS, detected(0), detected(0, camera=other), detected(1, camera=other))
    log.put(TIMELINES, bucket(0, frames=3))
    assert [account.in_timelines for account in accounts(log.bus, [CAMERA, other])] == [1, 2]


def test_a_provisional_bucket_is_in_no_account() -> None:
    log = Log()
    log.put(TIMELINES, bucket(0, frames=3), bucket(1, frames=2, final=False))
    assert of(log).in_timelines == 3


@pytest.mark.parametrize(("fps", "frames"), [(10, 24), (30, 24), (5, 12), (2.5, 6), (4, 10), (1, 3)])
def test_a_clips_frames_are_those_on_the_sampling_grid(tmp_path: Path, fps: float, frames: int) -> None:
    clip = a_clip(tmp_path / "clip.mp4", frames=24)
    assert clip_frames(clip, fps) == frames


def test_a_clip_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadInput, match=r"clip = '.*clip\.mp4': .*; expected a video"):
        clip_frames(path, 10)
