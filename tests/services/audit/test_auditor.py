"""The audit that goes on: what is closed is looked at once, what is open or does not add up again, and all of it is told."""

import logging
import threading

import pytest

from classpulse.auditor import CLOSED_AFTER_MS, LOOK_BACK_MS, MOST_MS, Auditor
from classpulse.codec import encode
from classpulse.errors import Recoverable
from classpulse.records import DeadLetter
from classpulse.topics import DEAD_LETTERS, DETECTIONS
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import CAM, B
from tests.services.audit.logs import START, lesson, off, played, publish
from tests.support import Shown

HOUR_MS = 3_600_000


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def metrics() -> Shown:
    return Shown()


def told(metrics: Shown) -> tuple[float | None, float | None]:
    return metrics.value("audit_unexplained_frames"), metrics.value("audit_last_timestamp_seconds")


def auditor(rig: Rig, metrics: Shown, from_ms: int | None = None) -> Auditor:
    return Auditor(rig.bus, rig.clock, metrics=metrics, from_ms=from_ms)


def test_before_anything_is_closed_nothing_is_audited_and_nothing_told(rig: Rig, metrics: Shown) -> None:
    assert auditor(rig, metrics, from_ms=rig.clock.now_ms()).once() is None
    assert told(metrics) == (None, None), "0 frames unexplained, in 1970, would be a lie"


def test_without_cameras_it_adds_up(rig: Rig, metrics: Shown) -> None:
    found = auditor(rig, metrics).once()
    assert found is not None
    assert (found.accounts, told(metrics)) == ((), (0, rig.clock.now_ms() / 1000))


def test_what_is_closed_and_adds_up_is_looked_at_once(rig: Rig, metrics: Shown) -> None:
    played(rig, lesson(), [off()])
    looks = auditor(rig, metrics)
    rig.clock.advance(HOUR_MS // 2)
    first = looks.once()
    assert first is not None
    assert [account.captured for account in first.accounts] == [300]
    rig.clock.advance(60_000)
    again = looks.once()
    assert again is not None
    assert again.span_ms is None, "no bucket of the lesson is in the next stretch"
    assert told(metrics) == (0, rig.clock.now_ms() / 1000)


def test_what_is_not_final_yet_is_no_fault_and_looked_at_again(rig: Rig, metrics: Shown) -> None:
    played(rig, lesson())
    looks = auditor(rig, metrics)
    rig.clock.advance(HOUR_MS // 2)
    first = looks.once()
    assert first is not None
    assert first.accounts[0].not_yet
    assert told(metrics)[0] == 0
    played(rig, [off()])
    again = looks.once()
    assert again is not None
    assert (again.accounts[0].captured, again.accounts[0].not_yet) == (300, {})


def test_what_does_not_add_up_is_told_and_stays_in_view_for_a_day(
    rig: Rig, metrics: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    played(rig, lesson(), [off()], lesson(B), [off(B)])
    bucket = publish(rig, START + 10_000, frames=7)
    looks = auditor(rig, metrics)
    rig.clock.advance(HOUR_MS // 2)
    with caplog.at_level(logging.ERROR, "classpulse.audit"):
        looks.once()
    lost = bucket.frames - 7
    assert told(metrics) == (lost, rig.clock.now_ms() / 1000)
    assert f"{lost} frames of 600 are not accounted for" in caplog.text
    assert "t/s/room: 1 buckets, the first of them at " in caplog.text
    rig.clock.advance(MOST_MS - HOUR_MS)
    looks.once()
    assert told(metrics)[0] == lost
    rig.clock.advance(HOUR_MS)
    looks.once()
    assert told(metrics)[0] == 0


def test_it_begins_an_hour_back_or_where_it_is_told(rig: Rig, metrics: Shown) -> None:
    played(rig, lesson(), [off()])
    rig.clock.advance(LOOK_BACK_MS + CLOSED_AFTER_MS)
    late = auditor(rig, metrics).once()
    told_to = auditor(rig, metrics, from_ms=START).once()
    assert late is not None
    assert told_to is not None
    assert (late.span_ms, [account.captured for account in told_to.accounts]) == (None, [300])


def test_a_bus_that_does_not_answer_is_asked_again_and_the_last_audit_stays_the_last(
    rig: Rig, metrics: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    begun_s = rig.clock.now_ms() / 1000
    stop = threading.Event()

    class Away:
        """Answers the first audit, and the one after the next."""

        asked = 0

        def __getattr__(self, name: str) -> object:
            return getattr(rig.bus, name)

        def ends(self, topic: object) -> object:
            if topic is DETECTIONS and rig.clock.now_ms() // 1000 - begun_s in range(60, 120):
                raise Recoverable("no broker answers")
            return rig.bus.ends(topic)  # type: ignore[arg-type]

    times: list[float | None] = []

    class Turns(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rig.clock.advance(int(1000 * (timeout or 0)))
            times.append(told(metrics)[1])
            if rig.clock.now_ms() / 1000 >= begun_s + 150:
                stop.set()
                self.set()
            return self.is_set()

    looks = Auditor(Away(), rig.clock, metrics=metrics)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "classpulse.audit"):
        looks.run(60, Turns())
    assert sorted({at_s for at_s in times if at_s is not None}) == [begun_s, begun_s + 120]
    assert caplog.text.count("no broker answers; auditing again in 60 s") == 1
    assert looks.alive_ms >= rig.clock.monotonic_ms() - 1_000


def test_it_is_alive_while_it_reads_a_long_log(rig: Rig, metrics: Shown) -> None:
    played(rig, lesson(seconds=600), [off(seconds=600)])
    looks = auditor(rig, metrics, from_ms=0)
    rig.clock.advance(HOUR_MS)
    signs: list[int] = []

    class Slow:
        def __getattr__(self, name: str) -> object:
            rig.clock.advance(1_000)
            signs.append(looks.alive_ms)
            return getattr(rig.bus, name)

    looks._bus = Slow()  # type: ignore[assignment]
    looks.once()
    assert len(set(signs)) > 3


def test_the_accounts_of_named_rooms_alone(rig: Rig, metrics: Shown) -> None:
    played(rig, lesson(), [off()])
    rig.clock.advance(HOUR_MS // 2)
    found = Auditor(rig.bus, rig.clock, metrics=metrics, rooms=["t/s/other"]).once()
    assert found is not None
    assert found.accounts == ()
    whole = Auditor(rig.bus, rig.clock, metrics=metrics, rooms=["t/s/room"]).once()
    assert whole is not None
    assert [account.camera for account in whole.accounts] == [CAM]


def test_buckets_that_differ_are_unexplained_even_where_their_frames_add_up(rig: Rig, metrics: Shown) -> None:
    played(rig, lesson(), [off()])
    one, other = START + 10_000, START + 20_000
    moved = publish(rig, one, frames=40).frames - 40
    publish(rig, other, frames=publish(rig, other).frames + moved)
    rig.clock.advance(HOUR_MS // 2)
    found = auditor(rig, metrics).once()
    assert found is not None
    assert [account.difference for account in found.accounts] == [0]
    assert told(metrics)[0] == 2


def test_since_when_there_are_events_and_dead_letters_is_told(rig: Rig, metrics: Shown) -> None:
    def told() -> tuple[float | None, ...]:
        return tuple(
            metrics.value("oldest_record_timestamp_seconds", topic=topic) for topic in ("events", "deadletters")
        )

    looks = auditor(rig, metrics)
    looks.once()
    assert told() == (0, 0), "there are none"
    put_aside_ms = rig.clock.now_ms()
    for _ in range(2):
        letter = DeadLetter(
            topic=DETECTIONS.name, partition=0, offset=0, key="k", reason="empty", detail="", at_ms=0, stage="aggregate"
        )
        rig.write(encode(letter, topic=DEAD_LETTERS, at_ms=rig.clock.now_ms()))
        rig.clock.advance(HOUR_MS)
        looks.once()
        assert told() == (0, put_aside_ms / 1000)
