"""What the tests of ingest make: clips with PyAV, a bus with all topics, a source that plays a script."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from classpulse.bus.base import Bus, Place
from classpulse.bus.memory import MemoryBus
from classpulse.clock import Clock, ManualClock, SystemClock
from classpulse.codec import Outgoing, decode, encode
from classpulse.ingest.capture import Capture, Limits
from classpulse.ingest.pressure import Pressure
from classpulse.ingest.sources.base import Image, Opened, Source, SourceEnded
from classpulse.records import CameraConfig, Dropped, Frame, Heartbeat, IngestState, Record, Told
from classpulse.topics import FRAMES, INGEST_STATE, TOPICS, partition_of
from classpulse.tracing import Tracer
from tests.support import Shown

CAMERA = "district/school/room/door"
SHORT = Limits(open_ms=2_000, silence_ms=1_500, grain_ms=10, retry_ms=10, farewell_ms=300)


def clip(
    path: Path,
    *,
    frames: int = 40,
    fps: int = 10,
    size: tuple[int, int] = (320, 180),
    gop: int = 10,
    codec: str = "libx264",
    b_frames: int = 0,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """A clip in which a bar moves; picture i is number i, so that pictures can be told apart."""
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "bf": str(b_frames)} | (options or {}) if codec == "libx264" else {}
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(drawn(number, size), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def drawn(number: int, size: tuple[int, int]) -> Image:
    """Picture `number` of a clip."""
    width, height = size
    image = np.full((height, width, 3), 40 + 3 * number % 160, dtype=np.uint8)
    left = 8 * number % (width - 8)
    image[:, left : left + 8] = (0, 255, 0)
    return image


def count_of(path: Path) -> int:
    """How many pictures a clip has, counted by decoding it in FFmpeg's plainest way."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def faststart(path: Path) -> Path:
    """The same clip with its index in front, so that it can be cut and still be opened."""
    target = path.with_name(f"front-{path.name}")
    with av.open(str(path)) as source, av.open(str(target), "w", options={"movflags": "faststart"}) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return target


def config_of(source: str | Path, *, camera: str = CAMERA, fps: float = 5.0, **more: object) -> CameraConfig:
    """A camera's configuration."""
    url = f"file://{source}" if isinstance(source, Path) else source
    return CameraConfig(camera=camera, source=url, fps=fps, **more)  # type: ignore[arg-type]


def new_bus(clock: Clock | None = None) -> MemoryBus:
    """A memory bus with all topics."""
    bus = MemoryBus(clock=clock)
    bus.create(tuple(TOPICS.values()))
    return bus


def write_unreadable_state(bus: Bus, camera: str) -> None:
    """Put a record on the camera's ingest state that no version of this program wrote."""
    state = IngestState(camera=camera, source="x", epoch=7, next_sequence=1, last_ms=0, position_ms=0, started_at_ms=0)
    good = encode(state, topic=INGEST_STATE, at_ms=0)
    bad = Outgoing(good.topic, good.partition, good.key, b"{}", good.headers)
    bus.member("ingest", (), slot="x").commit([bad], {})


def told(bus: Bus, camera: str = CAMERA) -> list[Record]:
    """A camera's story as it lies on frames.v1."""
    place = Place(FRAMES.name, partition_of(camera, FRAMES.partitions))
    stored = bus.fetch(place, 0, max_records=1_000_000, max_bytes=1 << 40)
    return [decode(record) for record in stored if record.key == camera]


def frames_of(bus: Bus, camera: str = CAMERA) -> list[Frame]:
    """The frames of a camera's story."""
    return [noun for noun in told(bus, camera) if isinstance(noun, Frame)]


def epochs_of(frames: Iterable[Told]) -> list[int]:
    """Their epochs, counted from the first one's: a live camera's begin at the second in which it was opened."""
    told = [frame.epoch for frame in frames]
    return [epoch - told[0] for epoch in told]


def beats_of(bus: Bus, camera: str = CAMERA) -> list[Heartbeat]:
    """The heartbeats of a camera's story."""
    return [noun for noun in told(bus, camera) if isinstance(noun, Heartbeat)]


def drops_of(bus: Bus, camera: str = CAMERA) -> list[Dropped]:
    """What a camera's story tells as dropped."""
    return [noun for noun in told(bus, camera) if isinstance(noun, Dropped)]


def state_of(bus: Bus, camera: str = CAMERA) -> IngestState:
    """Where a camera's story stands."""
    noun = decode(next(bus.latest(INGEST_STATE, key=camera)))
    assert isinstance(noun, IngestState)
    return noun


def capture_of(
    config: CameraConfig,
    bus: Bus,
    clock: Clock | None = None,
    *,
    source: Source | None = None,
    pressure: Pressure | None = None,
    limits: Limits = SHORT,
    tracer: Tracer | None = None,
) -> Capture:
    """A capture with short limits; of a scripted source where one is given."""
    clock = clock or SystemClock()
    more = {"tracer": tracer} if source is None else {"tracer": tracer, "source_of": lambda _: source}
    pressure = pressure or Pressure(bus, clock, most_records=1_000_000, most_bytes=1 << 40)
    return Capture(config, bus, clock, pressure=pressure, metrics=Shown(), limits=limits, **more)  # type: ignore[arg-type]


def play(config: CameraConfig, bus: Bus, clock: Clock | None = None, **more: object) -> Capture:
    """Run a recording to its end."""
    capture = capture_of(config, bus, clock or ManualClock(), **more)  # type: ignore[arg-type]
    capture.start()
    assert capture.join(60), "the recording did not end in time"
    assert capture.error is None
    return capture


@dataclass
class StillPicture:
    """A picture of one colour at a stream time."""

    pts_ms: int
    width: int = 64
    height: int = 48
    converted: list[int] = field(default_factory=list)

    def scaled(self, width: int, height: int) -> Image:
        """Notes that somebody asked for its pixels."""
        self.converted.append(self.pts_ms)
        return np.full((height, width, 3), self.pts_ms % 256, dtype=np.uint8)


Act = StillPicture | Exception | Callable[[], None] | None


class ScriptedSource:
    """Plays a list of acts: pictures, errors, None for silence, and calls. Its end is the end of a recording."""

    loops = False

    def __init__(
        self, *scripts: Sequence[Act], recorded: bool = False, paced: bool = True, duration_ms: int | None = None
    ) -> None:
        self.recorded, self.paced, self._duration_ms = recorded, paced, duration_ms
        self._scripts = list(scripts)
        self._acts: list[Act] = []
        self.opened: list[int] = []
        self.closed = 0

    def open(self, *, after_ms: int, timeout_ms: int) -> Opened:
        """The next script; an error as its only act is raised here."""
        self.opened.append(after_ms)
        self._acts = list(self._scripts.pop(0)) if self._scripts else []
        if len(self._acts) == 1 and isinstance(self._acts[0], Exception):
            raise self._acts[0]
        return Opened(self._duration_ms)

    def read(self) -> StillPicture | None:
        """The next act."""
        if not self._acts:
            raise SourceEnded(self._duration_ms or 0)
        act = self._acts.pop(0)
        if isinstance(act, Exception):
            raise act
        if callable(act):
            act()
            return self.read()
        return act

    def skip_to(self, pts_ms: int) -> None:
        """It gives everything."""

    def close(self) -> None:
        """Counted."""
        self.closed += 1


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Until something is so."""
    clock = SystemClock()
    until_ms = clock.monotonic_ms() + int(1000 * timeout_s)
    while not condition():
        assert clock.monotonic_ms() < until_ms, "it did not happen in time"
        clock.sleep_ms(5)


def stopped(capture: Capture, *, off: bool = False) -> None:
    capture.stop(off=off)
    assert capture.join(3)
    assert capture.error is None
