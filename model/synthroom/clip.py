"""Clip: frames become an H.264 file, one encoder thread, so that the same frames give the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from synthroom.renderer import U8


class ClipWriter:
    """Takes pictures (H, W, 3) in sRGB, in order."""

    def __init__(self, container: Any, stream: Any, fps: int) -> None:
        self._container, self._stream = container, stream
        self._time_base = Fraction(1, fps)  # the stream changes its own once the header is written
        self.frames = 0

    def add(self, rgb: U8) -> None:
        """Encode one more frame."""
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts = self.frames
        frame.time_base = self._time_base
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))


@contextmanager
def open_clip(path: Path, *, width: int, height: int, fps: int, crf: int = 24) -> Iterator[ClipWriter]:
    """Write a clip; the file appears whole when the block ends, and not at all when it raises."""
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        with av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container:
            # A keyframe every two seconds: readers that sample slowly decode only those.
            keys = f"keyint={2 * fps}:min-keyint={fps}"
            options = {"crf": str(crf), "preset": "slow", "threads": "1", "x264-params": keys}
            stream = container.add_stream("libx264", rate=fps, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.time_base = Fraction(1, fps)
            writer = ClipWriter(container, stream, fps)
            yield writer
            writer.finish()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def count_frames(path: Path) -> int:
    """Frames that a clip truly decodes to."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
