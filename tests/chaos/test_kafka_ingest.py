"""Copies of ingest share a school's cameras over a real Kafka: one joins, one is killed, one is frozen past its session.

A camera's frames are counted as every reader downstream counts them: the first record of a higher epoch supersedes all lower
ones, so that what two copies published of one camera never counts twice.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from classpulse.bus.base import Place
from classpulse.clock import from_rfc3339
from classpulse.records import CameraConfig, Frame
from classpulse.topics import FRAMES
from tests.brokers import require_kafka
from tests.chaos.route import LESSONS, START
from tests.chaos.school import CAMERAS, ROOM, School, camera, opened, state_of, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.xdist_group("kafka-chaos")]

SECONDS = 100
"""A bundled lesson's length; one picture of each is taken."""
FROZEN_S = 16.0
"""Longer than the group's session and any transaction."""


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    require_kafka()
    with opened(tmp_path) as school:
        yield school


def check_counted_once(frames: dict[str, list[Frame]]) -> None:
    """Within an epoch sequences rise without a repeat, and time never goes back; after a higher epoch no lower one counts."""
    for told in frames.values():
        latest: dict[int, Frame] = {}
        for frame in told:
            before = latest.get(frame.epoch)
            assert before is None or frame.sequence > before.sequence, (frame.camera, frame.epoch, frame.sequence)
            latest[frame.epoch] = frame
        assert [frame.epoch for frame in told] == sorted(frame.epoch for frame in told), "a fenced copy wrote on"


def test_copies_that_join_die_and_freeze_share_the_cameras_and_count_them_once(school: School) -> None:
    first = school.start()
    school.all_seen_anew(CAMERAS)

    second = school.start()
    wait_until(lambda: school.opened(1) and ": left to another copy" in school.log(0), school.logs)
    school.all_seen_anew(CAMERAS)

    second.kill()
    second.wait()
    school.all_seen_anew(CAMERAS)

    third = school.start()
    wait_until(lambda: school.opened(2), school.logs)
    third.send_signal(signal.SIGSTOP)
    school.all_seen_anew(CAMERAS)
    time.sleep(FROZEN_S)
    third.send_signal(signal.SIGCONT)
    school.all_seen_anew(CAMERAS)

    frames = school.frames()
    assert set(frames) == set(CAMERAS)
    check_counted_once(frames)
    assert first.poll() is None


def test_a_camera_that_is_added_changed_or_removed_is_so_without_a_restart(school: School) -> None:
    school.start()
    school.all_seen_anew(CAMERAS)
    added = f"{ROOM}/added"

    school.roster.write([camera(added)])
    school.all_seen_anew([added])
    school.roster.remove_camera(added)
    wait_until(lambda: state_of(school.told()[added][-1]) == "off", school.logs)
    school.all_seen_anew(CAMERAS)


def test_a_recording_in_complete_delivery_is_told_once_whoever_tells_it(school: School) -> None:
    lesson = f"{ROOM}/lesson"
    source = f"file://{LESSONS}/lesson-1.mp4?start={START}"
    school.roster.write([CameraConfig(camera=lesson, source=source, fps=1, delivery="complete")])
    school.start()
    wait_until(lambda: len(school.frames().get(lesson, ())) >= 16, school.logs)

    school.start()
    wait_until(lambda: school.opened(1) and ": left to another copy" in school.log(0), school.logs)
    assert len(school.frames()[lesson]) < SECONDS, "over before it changed hands"
    holder = int(f"{lesson}: opened" in school.log(1))
    school.copies[holder].kill()
    school.copies[holder].wait()
    detect = school.bus.member("detect", [FRAMES])

    def told_to_the_end() -> bool:
        polled = detect.poll(max_records=100, max_bytes=1 << 24, timeout_ms=200)
        detect.commit([], {Place(FRAMES.name, one.partition): one.offset + 1 for one in polled})
        return state_of(school.told()[lesson][-1]) == "off"

    wait_until(told_to_the_end, school.logs)
    detect.close()
    told = school.frames()[lesson]
    assert [frame.captured_at_ms for frame in told] == [
        from_rfc3339(START) + 1000 * number for number in range(SECONDS)
    ]
    check_counted_once({lesson: told})
