"""camera → ingest: what all sources that FFmpeg reads share: packets → pictures, on one thread, bounded and lazy.

PyAV's traps are dealt with here: errors are classified by their class and by elapsed time, a read that was
interrupted is resumed, and the limit on pixels is given to the decoder too, since probing decodes before anyone looks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer

from classpulse.clock import SystemClock
from classpulse.codec import MAX_PIXELS
from classpulse.ingest.sources.base import Address, Image, Opened, SourceError, Wish, check_size, scaled
from classpulse.ingest.sources.keyframes import Keyframes, Want

MOST_FAULTS = 100
"""So many packets in a row that cannot be decoded make a stream `damaged`."""

READ_SLICE_MS = 1_000
"""How long one read waits: a thread that is told to stop notices at most so much later."""

FULL_RANGE = 2
LIMITS = {"max_pixels": str(MAX_PIXELS)}


class AvPicture:
    """A frame of PyAV's with its stream time."""

    def __init__(self, frame: "av.VideoFrame", pts_ms: int) -> None:
        self._frame = frame
        self.pts_ms = pts_ms
        self.width: int = frame.width
        self.height: int = frame.height

    def scaled(self, width: int, height: int) -> Image:
        """Its pixels at that size; planes are scaled before they are converted, which costs a third."""
        if self._frame.format.name == "yuv420p" and self._frame.color_range != FULL_RANGE:
            return _scaled_planes(self._frame, width, height)
        return scaled(np.asarray(self._frame.to_ndarray(format="bgr24"), dtype=np.uint8), width, height)


def _scaled_planes(frame: "av.VideoFrame", width: int, height: int) -> Image:
    """YUV 4:2:0 in limited range → BGR: luma and chroma each by the mean of the area, then BT.601."""
    pixels = width * height
    packed = np.empty(pixels * 3 // 2, dtype=np.uint8)
    sizes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    starts = [0, pixels, pixels + pixels // 4]
    for index, (size, start) in enumerate(zip(sizes, starts, strict=True)):
        target = packed[start : start + size[0] * size[1]].reshape(size)
        target[:] = scaled(_plane(frame, index), size[1], size[0])
    bgr = cv2.cvtColor(packed.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420)
    return np.asarray(bgr, dtype=np.uint8)


def _plane(frame: "av.VideoFrame", index: int) -> Image:
    plane = frame.planes[index]
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


class AvSource(ABC):
    """A source read by FFmpeg; what differs between files, streams and devices is told by its heirs."""

    recorded = False
    paced = True
    loops = False

    def __init__(self, address: Address, wish: Wish) -> None:
        self._address, self._wish, self._clock = address, wish, SystemClock()
        self._container: InputContainer | None = None
        self._stream: Any = None
        self._pictures: Iterator[AvPicture | None] = iter(())
        self._keyframes = Keyframes(wish.interval_ms)
        self._due_ms = 0
        self._origin: int | None = None

    def open(self, *, after_ms: int, timeout_ms: int) -> Opened:
        """Connect and find the video stream."""
        self.close()
        began_ms = self._clock.monotonic_ms()
        try:
            self._container = self._connect(timeout_ms / 1000)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._fault(error, began_ms, timeout_ms) from None
        if not self._container.streams.video:
            raise SourceError("not_video", f"{self._name()} has no video stream; expected one")
        self._stream = self._container.streams.video[0]
        self._prepare_decoder()
        return self._begin(after_ms)

    def read(self) -> AvPicture | None:
        """The next picture, None after a second without one."""
        began_ms = self._clock.monotonic_ms()
        try:
            return next(self._pictures)
        except StopIteration:
            raise SourceError("failed", f"{self._name()} is not open; expected to be opened first") from None
        except (av.FFmpegError, OSError) as error:
            raise self._fault(error, began_ms, READ_SLICE_MS) from None

    def skip_to(self, pts_ms: int) -> None:
        """Pictures before this time are not wanted."""
        self._due_ms = pts_ms

    def close(self) -> None:
        """Let go of the container."""
        self._pictures = iter(())
        container, self._container, self._stream = self._container, None, None
        self._origin, self._due_ms = None, 0
        if container is not None:
            with suppress(av.FFmpegError, OSError):
                container.close()

    # what heirs tell

    @abstractmethod
    def _connect(self, timeout_s: float) -> InputContainer:
        """Open the container, or give up after this time."""

    def _begin(self, after_ms: int) -> Opened:  # noqa: ARG002 - a live stream has no past
        """The stream is known: where to start."""
        self._keyframes = Keyframes(self._wish.interval_ms, learn=True)
        self._pictures = self._decoded()
        return Opened(frames_per_s=rate_of(self._stream))

    def _over(self) -> Exception:
        """What the end of the packets means."""
        return SourceError("ended", f"{self._name()} stopped sending; expected it to go on")

    def _wanted(self, packet: "av.Packet") -> bool:  # noqa: ARG002 - heirs look at it
        """Whether a packet may be decoded at all."""
        return True

    def _fault(self, error: Exception, began_ms: int, limit_ms: int) -> SourceError:
        elapsed_ms = self._clock.monotonic_ms() - began_ms
        reason = reason_of(error, timed_out=elapsed_ms >= 0.9 * limit_ms)
        said = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return SourceError(reason, f"{self._name()}: {said} (after {elapsed_ms} ms); expected video")

    def _name(self) -> str:
        return self._address.url

    # packets → pictures

    def _prepare_decoder(self) -> None:
        context = self._stream.codec_context
        context.options = {**context.options, **LIMITS}
        self._stream.thread_type = "SLICE"
        context.thread_count = 1

    def _decoded(self) -> Iterator[AvPicture | None]:
        """Pictures in stream order, None where a read was interrupted for lack of data. Raises what `_over` says."""
        faults = 0
        for packet in self._packets():
            if packet is None:
                yield None
                continue
            try:
                frames = self._frames(packet)
            except av.FFmpegError as error:
                faults += 1
                if faults >= MOST_FAULTS:
                    raise SourceError(
                        "damaged", f"{self._name()}: {faults} packets in a row: {error.strerror}"
                    ) from None
                continue
            for frame in frames:
                check_size(frame.width, frame.height)
                pts_ms = self._pts_ms(frame)
                faults = 0
                if pts_ms is not None:
                    yield AvPicture(frame, pts_ms)
        raise self._over()

    def _packets(self) -> "Iterator[av.Packet | None]":
        container = self._container
        if container is None:
            return
        packets = container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.ExitError:  # the read's time slice is over; FFmpeg can go on where it was
                packets = container.demux(self._stream)
                yield None
                continue
            yield packet

    def _frames(self, packet: "av.Packet") -> "list[av.VideoFrame]":
        context = self._stream.codec_context
        if packet.size == 0:
            return list(packet.decode())
        if context.width or context.height:
            check_size(context.width, context.height)
        if not self._wanted(packet):
            return []
        pts_ms = self._stream_ms(packet.pts if packet.pts is not None else packet.dts)
        due_ms = self._due_ms if pts_ms is not None else 0
        want = self._keyframes.want(pts_ms or 0, keyframe=packet.is_keyframe, due_ms=due_ms)
        if want is Want.DECODE:
            return list(packet.decode())
        if want is Want.SKIP:
            return []
        return self._alone(packet)

    def _alone(self, packet: "av.Packet") -> "list[av.VideoFrame]":
        """A keyframe by itself: the decoder is emptied before and after, so that nothing waits for the next one."""
        context = self._stream.codec_context
        frames = [*context.decode(None)]
        context.flush_buffers()
        frames += [*context.decode(packet), *context.decode(None)]
        context.flush_buffers()
        return frames

    def _pts_ms(self, frame: "av.VideoFrame") -> int | None:
        """Stream time of a frame; a live stream's first dated picture is time 0."""
        if frame.pts is None:
            return None
        if self._origin is None:
            self._origin = frame.pts
        return self._stream_ms(frame.pts)

    def _stream_ms(self, pts: int | None) -> int | None:
        if pts is None:
            return None
        return int((pts - (self._origin or 0)) * 1000 * self._stream.time_base // 1)


def rate_of(stream: Any) -> float | None:
    """Pictures per second as the container says, where that can be believed."""
    rate = stream.average_rate
    return float(rate) if rate and 0.01 <= float(rate) <= 240 else None


def reason_of(error: Exception, *, timed_out: bool) -> str:
    """The short word for what FFmpeg raised.

    A silent peer raises InvalidDataError like a file that is no video, so the elapsed time decides between them.
    """
    table: tuple[tuple[type[Exception], str], ...] = (
        (av.error.HTTPUnauthorizedError, "unauthorised"),
        (av.error.HTTPForbiddenError, "unauthorised"),
        (av.error.HTTPNotFoundError, "not_found"),
        (ConnectionRefusedError, "refused"),
        (FileNotFoundError, "missing"),
        (IsADirectoryError, "not_video"),
    )
    for kind, reason in table:
        if isinstance(error, kind):
            return reason
    if timed_out or isinstance(error, TimeoutError | av.error.ExitError):
        return "timeout"
    if isinstance(error, ConnectionError | BrokenPipeError):
        return "ended"
    return "not_video" if isinstance(error, av.error.InvalidDataError) else "failed"
