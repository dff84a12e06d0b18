"""The demo, conservation: per camera, captured = in timelines + Σ dropped{reason}, each read from another log.

`captured` comes from frames.v1, `dropped` from the holes and `Dropped` records of detections.v1, `in_timelines` from
the final buckets of timelines.v1, and `clip_frames` from the clip itself without any of our own code between. Of a demo
that was cut short, provisional buckets count too, and what had not come so far is `not_yet`.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av

from classpulse.accounts import Account, Ledger
from classpulse.bus.base import Bus
from classpulse.codec import decode
from classpulse.errors import BadInput, InvalidRecord
from classpulse.formats import missing_text
from classpulse.reading import read_buckets, stored_records
from classpulse.records import Dropped, Frame, Heartbeat, Told, room_of
from classpulse.topics import DETECTIONS, FRAMES, Topic, partition_of

NOT_LOOKED_AT = "not looked at"
NOT_TOLD = "looked at but not told"


def accounts(
    bus: Bus, cameras: Sequence[str], clip_frames: dict[str, int] | None = None, *, whole: bool = True
) -> list[Account]:
    """The account of each camera. Unless `whole`, frames that are still on their way are no fault.

    Buckets do not tell cameras apart: where a room has several, their `in_timelines` is counted in detections.v1 instead.
    """
    rooms = [room_of(camera) for camera in cameras]
    held = []
    for camera, room in zip(cameras, rooms, strict=True):
        ledger, taken = _ledger(bus, camera), captured(bus, camera)
        alone = rooms.count(room) == 1
        buckets = [bucket for bucket in read_buckets(bus, room) if bucket.final or not whole]
        frames = sum(bucket.frames for bucket in buckets) if alone else ledger.detected
        dropped = dict(sorted(ledger.dropped.items()))
        not_yet = {} if whole else _not_yet(ledger, taken, frames)
        held.append(Account(camera, taken, frames, dropped, (clip_frames or {}).get(camera), not_yet))
    return held


def _not_yet(ledger: Ledger, taken: int, frames: int) -> dict[str, int]:
    """Frames on their way: captured and not looked at, or looked at and in no bucket."""
    counts = {
        NOT_LOOKED_AT: taken - ledger.detected - sum(ledger.dropped.values()),
        NOT_TOLD: ledger.detected - frames,
    }
    return {where: count for where, count in counts.items() if count > 0}


def captured(bus: Bus, camera: str) -> int:
    """Frames of a camera that were given a sequence: in each epoch the highest one told of in frames.v1, plus one."""
    highest: dict[int, int] = {}
    for noun in _told(bus, FRAMES, camera, camera):
        match noun:
            case Frame():
                last = noun.sequence
            case Dropped() | Heartbeat():
                last = noun.last_sequence
            case _:
                continue
        highest[noun.epoch] = max(last, highest.get(noun.epoch, -1))
    return sum(last + 1 for last in highest.values())


def clip_frames(path: Path, fps: float) -> int:
    """How many of a clip's frames lie on the sampling grid k / fps, counted from its packets' own times.

    A frame is taken when it is the first at or after a grid time; at the clip's own rate that is every frame.
    Raises BadInput for a file without video.
    """
    times = sorted(_packet_times(path))
    rate = Fraction(fps).limit_denominator(1000)
    if not times or rate >= _nominal_rate(times):
        return len(times)
    taken, due = 0, Fraction(0)
    for time_s in times:
        if time_s >= due:
            taken += 1
            due = Fraction(int(time_s * rate) + 1) / rate
    return taken


def _nominal_rate(times: Sequence[Fraction]) -> Fraction:
    return Fraction(len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else Fraction(0)


def _packet_times(path: Path) -> Iterator[Fraction]:
    """Presentation times in seconds of every packet that holds a picture; nothing is decoded."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadInput([f"clip = {str(path)!r}: has no video stream; expected a video"])
            for packet in container.demux(video=0):
                if packet.pts is not None and packet.size:
                    yield Fraction(packet.pts) * Fraction(packet.time_base)
    except av.FFmpegError as error:
        raise BadInput([f"clip = {str(path)!r}: {error}; expected a video"]) from error


def _ledger(bus: Bus, camera: str) -> Ledger:
    ledger = Ledger()
    for noun in _told(bus, DETECTIONS, camera, room_of(camera)):
        ledger.tell(noun)
    return ledger


def _told(bus: Bus, topic: Topic, camera: str, partition_key: str) -> Iterator[Told]:
    """What a topic tells of one camera, in order, without what cannot be read."""
    for noun in _readable(bus, topic, partition_key):
        if isinstance(noun, Told) and noun.camera == camera:
            yield noun


def _readable(bus: Bus, topic: Topic, partition_key: str) -> Iterable[object]:
    for record in stored_records(bus, topic, partition_of(partition_key, topic.partitions)):
        if record.key != partition_key:
            continue
        try:
            yield decode(record)
        except InvalidRecord:
            continue


def on_their_way(accounts: Iterable[Account]) -> str:
    """How far the frames of all cameras had come that are in no account; empty for a demo that was played to its end."""
    counts: dict[str, int] = {}
    for account in accounts:
        for where, count in account.not_yet.items():
            counts[where] = counts.get(where, 0) + count
    return f"{missing_text(counts)} yet when it was stopped" if counts else ""
