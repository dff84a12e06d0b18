"""camera → ingest: what every source of pictures promises, and which class serves which scheme.

A source is opened, read and closed by one thread. Its pictures carry the stream's own time (milliseconds from its first
picture) and are converted only when somebody asks for their pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from classpulse.codec import MAX_PIXELS
from classpulse.errors import BadInput, Recoverable
from classpulse.records import CameraConfig
from classpulse.settings import masked, nearest

Image = NDArray[np.uint8]
"""Height × width × 3, blue green red, 0..255."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SOURCES: dict[str, str] = {
    "file": "classpulse.ingest.sources.file:FileSource",
    "rtsp": "classpulse.ingest.sources.rtsp:RtspSource",
    "rtsps": "classpulse.ingest.sources.rtsp:RtspSource",
    "device": "classpulse.ingest.sources.device:DeviceSource",
    "synth": "classpulse.ingest.sources.synth:SynthSource",
}


class SourceError(Recoverable):
    """No pictures now; the camera tries again later. `reason` is a short stable word for heartbeats and reports.

    `missing` (no such file, host or device), `empty` (zero bytes), `not_video`, `damaged` (ends too early or cannot be
    decoded), `refused`, `unauthorised`, `not_found` (the server knows no such stream), `timeout`, `ended` (the server
    went away), `bad_size`, `credentials` (their file is unusable), `behind` (pictures come too late), `failed`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(masked(f"{reason}: {detail}"))
        self.reason = reason


class SourceEnded(Exception):
    """A recording is over; `end_ms` is the stream time of its end."""

    def __init__(self, end_ms: int) -> None:
        super().__init__(f"over after {end_ms} ms")
        self.end_ms = end_ms


class Picture(Protocol):
    """One decoded picture, not yet converted."""

    @property
    def pts_ms(self) -> int:
        """Stream time: milliseconds since the source's first picture."""
        ...

    @property
    def width(self) -> int:
        """In pixels; may differ from the last picture's."""
        ...

    @property
    def height(self) -> int:
        """In pixels; may differ from the last picture's."""
        ...

    def scaled(self, width: int, height: int) -> Image:
        """Its pixels at that size (even numbers, at most its own). Raises SourceError where it cannot be converted."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a source once it is open; None where it cannot be known. `started_at_ms`: when it was recorded."""

    duration_ms: int | None = None
    frames_per_s: float | None = None
    started_at_ms: int | None = None


class Source(Protocol):
    """One camera's pictures. `recorded`: it has a beginning of its own and can be resumed at a stream time."""

    recorded: bool
    paced: bool
    loops: bool

    def open(self, *, after_ms: int, timeout_ms: int) -> Opened:
        """Connect; a recording will give the pictures later than stream time `after_ms` (and may give earlier ones).

        Raises SourceError, after `timeout_ms` at the latest.
        """
        ...

    def read(self) -> Picture | None:
        """The next picture; None when none came within a second or so.

        Raises SourceError when the stream fails, SourceEnded when a recording is over.
        """
        ...

    def skip_to(self, pts_ms: int) -> None:
        """A hint: pictures before this stream time are not wanted and need not be decoded or given."""
        ...

    def close(self) -> None:
        """Let go; any number of times, from the reading thread."""
        ...


@dataclass(frozen=True)
class Wish:
    """What a source should know about how it is watched."""

    interval_ms: float = 200.0
    complete: bool = False
    credentials_ref: str | None = None


@dataclass(frozen=True)
class Address:
    """A source's URL, read: `path` is unquoted, `url` is without its query's options for file, device and synth."""

    url: str
    scheme: str
    path: str
    options: Mapping[str, str]

    def choose(self, *known: str) -> Mapping[str, str]:
        """The options, all of them among `known`. Raises BadInput naming each that is not and the nearest that is."""
        faults = [
            f"source = {masked(self.url)!r}: unknown option {name!r}; {nearest(name, known)}"
            for name in self.options
            if name not in known
        ]
        if faults:
            raise BadInput(faults)
        return self.options

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number among the options. Raises BadInput naming key, value and expectation."""
        text = self.options.get(name, str(default))
        if not text.isdecimal() or not least <= int(text) <= most:
            expected = f"expected a whole number from {least} to {most}"
            raise BadInput([f"source = {masked(self.url)!r}: {name} = {text!r}; {expected}"])
        return int(text)

    def instant(self, name: str) -> int | None:
        """A point in time among the options, in Unix milliseconds. Raises BadInput naming key, value and expectation."""
        if (text := self.options.get(name)) is None:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None or at < EPOCH:
            expected = "expected a time with its offset, like 2026-03-02T08:00:00Z"
            raise BadInput([f"source = {masked(self.url)!r}: {name} = {text!r}; {expected}"])
        return (at - EPOCH) // timedelta(milliseconds=1)

    def choice(self, name: str, default: str, *choices: str) -> str:
        """One of a few words among the options. Raises BadInput naming key, value and expectation."""
        text = self.options.get(name, default)
        if text not in choices:
            raise BadInput([f"source = {masked(self.url)!r}: {name} = {text!r}; expected one of {', '.join(choices)}"])
        return text


def read_address(url: str) -> Address:
    """A source's URL taken apart. Raises BadInput for an unknown scheme."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SOURCES:
        schemes = ", ".join(f"{s}://" for s in SOURCES)
        raise BadInput([f"source = {masked(url)!r}: unknown scheme; expected one of {schemes}"])
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Address(url, scheme, unquote(parts.netloc + parts.path), options)


def source_of(config: CameraConfig) -> Source:
    """The source of a camera, not opened. Raises BadInput where its URL is wrong."""
    address = read_address(config.source)
    module, _, name = SOURCES[address.scheme].partition(":")
    factory: Callable[[Address, Wish], Source] = getattr(import_module(module), name)
    wish = Wish(
        interval_ms=1000 / config.fps, complete=config.delivery == "complete", credentials_ref=config.credentials_ref
    )
    return factory(address, wish)


def check_size(width: int, height: int, where: str = "") -> None:
    """Raises SourceError unless a picture has 1 to MAX_PIXELS pixels: before anything is allocated for it.

    `where`: the recording, as an error begins. FFmpeg, told the limit, says 0x0 of a recording whose pictures are larger.
    """
    if not (width > 0 and height > 0 and width * height <= MAX_PIXELS):
        unknown = where and not (width or height)
        found = "pictures of no size, or larger than that" if unknown else f"picture of {width}x{height}"
        raise SourceError("bad_size", f"{where}{': ' if where else ''}{found}; expected 1 to {MAX_PIXELS} pixels")


def scaled(image: Image, width: int, height: int) -> Image:
    """The image at another size, each pixel the mean of the area it covers."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
