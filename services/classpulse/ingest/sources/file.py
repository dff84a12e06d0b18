"""camera → ingest: a recording on disk, `file:///clip.mp4[?start=TIME][?pace=realtime][&loop=1]`.

Without `pace` it is read as fast as the route takes it, as if it had ended now, or as recorded from `start` on. `loop=1`
plays it again and again, and is always paced. Where the container has an index (MP4, Matroska) a restart seeks; elsewhere
it reads from the beginning: both give the same pictures.
"""

import itertools
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from classpulse.errors import BadInput
from classpulse.ingest.sources.base import Address, Opened, SourceEnded, SourceError, Wish, check_size
from classpulse.ingest.sources.container import LIMITS, AvSource, rate_of
from classpulse.ingest.sources.keyframes import Keyframes
from classpulse.settings import masked

SEEK_MARGIN_MS = 1_000
SHORT_MS = 500
"""A recording that ends so much earlier than it says was cut."""

JUMP_MS = 10_000
TRUSTED = ("mp4", "matroska")
"""Containers that date each picture, know how long they are and where their keyframes lie."""

BY_RATE = ("avi",)
"""Containers whose pictures come at a fixed rate; the dates that FFmpeg makes up for them go back and forth."""

USUAL_PERIOD_MS = 40


class Unbroken:
    """Stream time that goes on where a container's timestamps are absent, go back or leap (joined transport streams)."""

    def __init__(self, period_ms: int) -> None:
        self._period_ms = period_ms
        self._shift_ms = 0
        self._last_ms: int | None = None

    def next(self, pts_ms: int | None) -> int:
        """The time of the next picture, given its timestamp."""
        if self._last_ms is None:
            self._shift_ms, self._last_ms = -(pts_ms or 0), 0
            return 0
        expected_ms = self._last_ms + self._period_ms
        at_ms = expected_ms if pts_ms is None else pts_ms + self._shift_ms
        if not self._last_ms < at_ms <= self._last_ms + JUMP_MS:
            self._shift_ms += expected_ms - at_ms
            at_ms = expected_ms
        self._last_ms = at_ms
        return at_ms


class FileSource(AvSource):
    """A recording."""

    recorded = True

    def __init__(self, address: Address, wish: Wish) -> None:
        super().__init__(address, wish)
        address.choose("pace", "loop", "start")
        self.loops = address.choice("loop", "0", "0", "1") == "1"
        self.paced = address.choice("pace", "realtime" if self.loops else "none", "none", "realtime") == "realtime"
        if self.loops and not self.paced:
            expected = "expected pace=realtime with loop=1: one stretch of time cannot hold a clip twice"
            raise BadInput([f"source = {masked(address.url)!r}: pace = 'none'; {expected}"])
        self._started_at_ms = address.instant("start")
        if self.paced and self._started_at_ms is not None:
            expected = "expected none with start: what is played at its own pace is captured now"
            raise BadInput([f"source = {masked(address.url)!r}: pace = 'realtime'; {expected}"])
        self._path = Path(address.path)
        self._duration_ms: int | None = None
        self._last_ms, self._pictures_seen = -1, 0
        self._period_ms = USUAL_PERIOD_MS
        self._unbroken: Unbroken | None = None
        self._cut = False

    def _name(self) -> str:
        return str(self._path)

    def _connect(self, timeout_s: float) -> InputContainer:
        if self._path.stat().st_size == 0 and self._path.is_file():
            raise SourceError("empty", f"{self._path} has 0 bytes; expected a video file")
        container: InputContainer = av.open(
            f"file:{self._path}",
            options={"protocol_whitelist": "file"},
            stream_options=[LIMITS],
            timeout=(timeout_s, None),
        )
        if "matroska" in container.format.name:
            with suppress(av.FFmpegError, OSError):  # one that was cut has no index
                container.seek(0)  # reads the index, which lies at the end
        return container

    def _begin(self, after_ms: int) -> Opened:
        context = self._stream.codec_context
        check_size(context.width, context.height, str(self._path))
        rate = rate_of(self._stream)
        self._period_ms = round(1000 / rate) if rate else USUAL_PERIOD_MS
        self._origin = self._stream.start_time or 0
        self._duration_ms = self._declared_ms()
        self._last_ms, self._pictures_seen, self._cut = -1, 0, False
        keys_ms = self._keys_ms()
        self._unbroken = None if keys_ms else Unbroken(self._period_ms)
        longest_ms = max((b - a for a, b in itertools.pairwise(keys_ms)), default=None) if keys_ms else None
        self._keyframes = Keyframes(self._wish.interval_ms, longest_ms=longest_ms)
        self._seek(after_ms, keys_ms)
        self._pictures = self._decoded()
        return Opened(self._length_ms(), rate, self._started_at_ms)

    def _seek(self, after_ms: int, keys_ms: list[int]) -> None:
        """Go to a keyframe well before `after_ms`, or stay at the beginning if that cannot be trusted."""
        before = [key_ms for key_ms in keys_ms if key_ms <= after_ms - SEEK_MARGIN_MS]
        container = self._container
        if not before or container is None:
            return
        target = int(Fraction(before[-1], 1000) / self._stream.time_base) + (self._origin or 0)
        container.seek(target, stream=self._stream)
        first = next(container.demux(self._stream))
        found_ms = self._stream_ms(first.pts)
        trusted = first.is_keyframe and found_ms is not None and found_ms <= after_ms
        container.seek(target if trusted else 0, stream=self._stream)

    def _keys_ms(self) -> list[int]:
        """Times of all keyframes, empty unless the index reaches to the end of the recording."""
        if not self._among(TRUSTED):
            return []
        keys = [self._stream_ms(entry.timestamp) or 0 for entry in self._stream.index_entries if entry.is_keyframe]
        if not keys or self._duration_ms is None:
            return []
        steps = [b - a for a, b in itertools.pairwise([*keys, self._duration_ms])]
        return keys if len(keys) > 1 and steps[-1] <= 2 * max(steps[:-1]) else []

    def _declared_ms(self) -> int | None:
        """How long the container says the video is, where such containers can be believed."""
        if self._among(("mp4",)) and self._stream.duration:
            return int(self._stream.duration * 1000 * self._stream.time_base)
        return _clock_ms(self._stream.metadata.get("DURATION", ""))

    def _among(self, containers: tuple[str, ...]) -> bool:
        name = self._container.format.name if self._container else ""
        return any(one in name for one in containers)

    def _length_ms(self) -> int | None:
        if self._duration_ms is not None:
            return self._duration_ms
        duration = self._container.duration if self._container else None
        return int(duration * 1000 / av.time_base) if duration else None

    def _wanted(self, packet: "av.Packet") -> bool:
        if not self._among(TRUSTED):
            return True
        self._cut |= packet.is_corrupt
        if not self._cut and not self._unbroken:
            self._last_ms = max(self._last_ms, self._stream_ms(packet.pts) or 0)
        return not packet.is_corrupt

    def _pts_ms(self, frame: "av.VideoFrame") -> int | None:
        pts_ms = None if self._among(BY_RATE) else self._stream_ms(frame.pts)
        pts_ms = self._unbroken.next(pts_ms) if self._unbroken else pts_ms
        self._last_ms = max(self._last_ms, pts_ms if pts_ms is not None else -1)
        self._pictures_seen += 1
        return pts_ms

    def _over(self) -> Exception:
        declared_ms, end_ms = self._duration_ms, self._last_ms + self._period_ms
        short = declared_ms is not None and end_ms + SHORT_MS < declared_ms
        nothing = not self._pictures_seen and not self._keyframes.alone
        if self._cut or short or nothing:
            expected = "pictures" if declared_ms is None else f"{declared_ms} ms"
            return SourceError("damaged", f"{self._path} ends after {max(end_ms, 0)} ms; expected {expected}")
        return SourceEnded(max(end_ms, declared_ms or 0))


def _clock_ms(text: str) -> int | None:
    """Milliseconds of a Matroska DURATION tag, HH:MM:SS.nnnnnnnnn."""
    parts: list[Any] = text.split(":")
    try:
        hours, minutes, seconds = int(parts[0]), int(parts[1]), float(parts[2])
    except (ValueError, IndexError):
        return None
    return (hours * 60 + minutes) * 60_000 + int(seconds * 1000)
