"""Items become records: one step each, and what happens when a step is refused."""

from collections.abc import Mapping, Sequence

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing
from classpulse.errors import Fenced, InvalidRecord, RecordTooLarge, Recoverable, StorageFull
from classpulse.ingest.camera import Beat, CameraStory, Item
from classpulse.ingest.pictures import Printer
from classpulse.ingest.publishing import Publisher
from classpulse.ingest.sources.base import Opened, Picture, SourceError
from classpulse.records import Dropped, Frame, Heartbeat
from classpulse.topics import FRAMES, TOPICS
from tests.services.ingest.making import CAMERA, StillPicture, config_of, drops_of, frames_of, new_bus, state_of, told
from tests.support import Shown

NOW_MS = 1_700_000_000_000


class Moody(MemoryBus):
    """A memory bus that refuses commits as told."""

    mood: Exception | None = None
    commits = 0

    def apply(self, member: MemoryMember, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        if isinstance(self.mood, RecordTooLarge):
            if any(output.value is not None and output.topic == FRAMES.name for output in outputs):
                raise self.mood
        elif self.mood is not None:
            raise self.mood
        self.commits += 1
        super().apply(member, outputs, positions)


def moody() -> Moody:
    bus = Moody()
    bus.create(tuple(TOPICS.values()))
    return bus


def publisher_on(
    bus: MemoryBus, *, live: bool = True, print_: object = None, metrics: Shown | None = None
) -> Publisher:
    member = bus.member("ingest", (), slot=CAMERA)
    print_ = print_ or Printer().print
    return Publisher(member, CAMERA, print_, ManualClock(), metrics=metrics or Shown(), live=live)  # type: ignore[arg-type]


def story() -> CameraStory:
    camera = CameraStory(config_of("rtsp://c/s", fps=10), None, recorded=False)
    camera.begin(NOW_MS, Opened(), paced=True)
    return camera


def picture(camera: CameraStory, number: int) -> list[Item]:
    return camera.see(StillPicture(100 * number), NOW_MS + 100 * number)


def test_what_is_on_the_bus_is_counted_and_only_then() -> None:
    def counted() -> tuple[float, ...]:
        return tuple(metrics.value(name, **labels) or 0 for name, labels in names)

    names: list[tuple[str, dict[str, str]]] = [
        ("frames_published_total", {}),
        ("frames_dropped_total", {"stage": "ingest", "reason": "disk_full"}),
        ("transactions_total", {"result": "committed"}),
        ("transactions_total", {"result": "retried"}),
        ("stage_duration_seconds_count", {"stage": "ingest", "step": "commit"}),
        ("stage_duration_seconds_count", {"stage": "ingest", "step": "encode"}),
    ]
    bus, camera, metrics = moody(), story(), Shown()
    publisher = publisher_on(bus, metrics=metrics)
    publisher.add(picture(camera, 0))
    assert counted() == (0, 0, 0, 0, 0, 0)
    assert publisher.publish()
    assert counted() == (1, 0, 1, 0, 1, 1)
    assert publisher.tally.last_frame_ms == NOW_MS
    publisher.add(picture(camera, 1))
    bus.mood = StorageFull("no room")
    assert not publisher.publish()
    assert counted() == (1, 0, 1, 1, 1, 2)
    bus.mood = None
    assert publisher.publish()
    assert counted() == (1, 1, 2, 1, 2, 2)
    assert publisher.tally.last_frame_ms == NOW_MS, "a frame that was dropped was not seen"


def test_nothing_to_tell_is_no_commit() -> None:
    bus = moody()
    assert publisher_on(bus).publish()
    assert bus.commits == 0


def test_a_frame_and_the_state_after_it_are_one_commit() -> None:
    bus, camera = moody(), story()
    publisher = publisher_on(bus)
    publisher.add(picture(camera, 0))
    assert publisher.publish()
    assert bus.commits == 1
    (frame,) = frames_of(bus)
    assert (frame.epoch, frame.sequence, frame.captured_at_ms, frame.interval_ms) == (0, 0, NOW_MS, 100)
    assert (frame.width, frame.height, frame.jpeg[:2]) == (64, 48, b"\xff\xd8")
    state = state_of(bus)
    assert (state.epoch, state.next_sequence, state.last_ms, state.position_ms) == (0, 1, NOW_MS, 0)
    assert publisher.tally.published == 1


def test_heartbeats_say_what_was_told_before_them() -> None:
    bus, camera = moody(), story()
    publisher = publisher_on(bus)
    publisher.add(camera.connect(NOW_MS) + picture(camera, 0) + camera.fail("refused", NOW_MS + 50, progressed=True))
    publisher.publish()
    first, _, last = told(bus)
    assert first == Heartbeat(camera=CAMERA, epoch=0, last_sequence=-1, at_ms=NOW_MS, state="connecting")
    assert last == Heartbeat(
        camera=CAMERA, epoch=0, last_sequence=0, at_ms=NOW_MS + 50, state="silent", detail="refused"
    )


def test_a_full_disk_drops_live_pictures_with_that_reason_and_publishing_goes_on_when_there_is_room() -> None:
    bus, camera = moody(), story()
    publisher = publisher_on(bus)
    bus.mood = StorageFull("no room")
    for number in range(3):
        publisher.add(picture(camera, number))
        assert not publisher.publish()
    assert publisher.tally.trouble == "disk_full"
    assert told(bus) == []
    bus.mood = None
    publisher.add(picture(camera, 3))
    assert publisher.publish()
    dropped, frame = told(bus)
    assert isinstance(dropped, Dropped)
    assert isinstance(frame, Frame)
    assert (dropped.first_sequence, dropped.last_sequence, dropped.reason) == (0, 2, "disk_full")
    assert (dropped.first_ms, dropped.last_ms) == (NOW_MS, NOW_MS + 200)
    assert frame.sequence == 3
    assert (publisher.tally.trouble, publisher.tally.dropped) == ("", {"disk_full": 3})


@pytest.mark.parametrize("mood", [StorageFull("no room"), Recoverable("locked")])
def test_a_complete_camera_loses_nothing_to_a_bus_in_trouble(mood: Exception) -> None:
    bus, camera = moody(), story()
    publisher = publisher_on(bus, live=False)
    bus.mood = mood
    publisher.add(picture(camera, 0))
    assert not publisher.publish()
    assert not publisher.publish()
    assert publisher.holds_picture
    bus.mood = None
    assert publisher.publish()
    assert [frame.sequence for frame in frames_of(bus)] == [0]


def test_a_picture_is_encoded_once_however_often_it_is_tried() -> None:
    bus, camera, shot = moody(), story(), StillPicture(0)
    publisher = publisher_on(bus, live=False)
    bus.mood = Recoverable("locked")
    publisher.add(camera.see(shot, NOW_MS))
    for _ in range(5):
        publisher.publish()
    bus.mood = None
    publisher.publish()
    assert shot.converted == [0]


def test_a_frame_that_can_never_be_accepted_fails_alone() -> None:
    bus, camera = moody(), story()
    publisher = publisher_on(bus, live=False)
    bus.mood = RecordTooLarge("5 MB; expected at most 4")
    publisher.add(picture(camera, 0))
    assert not publisher.publish()
    assert publisher.publish()
    bus.mood = None
    publisher.add(picture(camera, 1))
    assert publisher.publish()
    assert [(d.first_sequence, d.last_sequence, d.reason) for d in drops_of(bus)] == [(0, 0, "bad_size")]
    assert [frame.sequence for frame in frames_of(bus)] == [1]


def test_of_several_pictures_in_one_step_only_the_one_that_is_too_large_fails() -> None:
    class Narrow(MemoryBus):
        """A bus that takes no value above 1,000 bytes."""

        def apply(self, member: MemoryMember, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
            if any(len(output.value or b"") > 1_000 for output in outputs):
                raise RecordTooLarge("too large; expected 1,000 bytes at most")
            super().apply(member, outputs, positions)

    bus, camera = Narrow(), story()
    bus.create(tuple(TOPICS.values()))
    sizes = iter([900, 2_000, 800])
    publisher = publisher_on(bus, live=False, print_=lambda _: (8, 8, b"x" * next(sizes)))
    for number in range(3):
        publisher.add(picture(camera, number))

    assert not publisher.publish()
    assert publisher.publish()

    assert [frame.sequence for frame in frames_of(bus)] == [0, 2]
    assert [(d.first_sequence, d.last_sequence, d.reason) for d in drops_of(bus)] == [(1, 1, "bad_size")]
    assert state_of(bus).next_sequence == 3


@pytest.mark.parametrize(
    ("error", "reason"),
    [(SourceError("bad_size", "0x0"), "bad_size"), (InvalidRecord("decode_error", "x"), "decode_error")],
)
def test_a_picture_without_a_jpeg_is_told_as_dropped(error: Exception, reason: str) -> None:
    def refuse(_: Picture) -> tuple[int, int, bytes]:
        raise error

    bus, camera = moody(), story()
    publisher = publisher_on(bus, print_=refuse)
    publisher.add(picture(camera, 0))
    assert publisher.publish()
    (dropped,) = told(bus)
    assert isinstance(dropped, Dropped)
    assert (dropped.first_sequence, dropped.last_sequence, dropped.reason) == (0, 0, reason)
    assert publisher.tally.dropped == {reason: 1}
    assert state_of(bus).next_sequence == 1


def test_a_successor_of_the_same_camera_fences_its_predecessor() -> None:
    bus = new_bus()
    old = publisher_on(bus)
    new = publisher_on(bus)
    item = Beat(next(iter(picture(story(), 0))).state, NOW_MS, "up")
    old.add([item])
    with pytest.raises(Fenced, match="a later member owns this place"):
        old.publish()
    new.add([item])
    assert new.publish()
