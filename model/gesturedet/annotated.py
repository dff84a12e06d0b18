"""Annotated pictures → files: a picture, a folder of pictures, or a video that appears whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from gesturedet.sources import PICTURE_SUFFIXES, Shown, Source
from gesturedet.whole_files import write_whole

Bytes = NDArray[np.uint8]
Keep = Callable[[Shown, Bytes], None]

VIDEO_SUFFIXES = frozenset({".mkv", ".mov", ".mp4"})
FRAMES_PER_S = 25.0
"""Said about videos from cameras that do not say it; the pictures keep their own times."""


@contextmanager
def annotated(out: Path, source: Source) -> Iterator[Keep]:
    """Give a function that takes a picture and its annotated copy.

    A picture or a video goes into the file `out`, or under its own name into the folder `out`; a folder's pictures
    always go into a folder. Raises ValueError for an `out` that does not suit the source.
    """
    path = place_of(out, source)
    if source.kind == "video":
        with _video(path, source.frames_per_s or FRAMES_PER_S) as keep:
            yield keep
        return
    (path if source.kind == "folder" else path.parent).mkdir(parents=True, exist_ok=True)
    yield lambda shown, drawn: _write(path / shown.name if source.kind == "folder" else path, drawn)


def write_picture(path: Path, image_bgr: Bytes) -> None:
    """Encode by the path's suffix and write. Raises OSError where that cannot be done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, image_bgr)


def place_of(out: Path, source: Source) -> Path:
    """Return the file or folder that annotated pictures go into. Raises ValueError where `out` does not suit the source."""
    path = _path(out, source)
    if "://" not in source.where and path.exists() and path.samefile(source.where):
        raise ValueError(f"out: {str(path)!r} is what is looked at, expected another place")
    return path


def _path(out: Path, source: Source) -> Path:
    suffix = out.suffix.lower()
    if source.kind == "folder" or out.is_dir() or not suffix:
        if source.kind == "folder" and (suffix in PICTURE_SUFFIXES | VIDEO_SUFFIXES or out.is_file()):
            raise ValueError(f"out: {str(out)!r} is no folder, expected one for the pictures of a folder")
        return out if source.kind == "folder" else out / _own_name(source)
    expected = VIDEO_SUFFIXES if source.kind == "video" else PICTURE_SUFFIXES
    if suffix not in expected:
        raise ValueError(
            f"out: {str(out)!r} does not suit a {source.kind}, expected a folder or {', '.join(sorted(expected))}"
        )
    return out


def _own_name(source: Source) -> str:
    last = Path(source.name.rstrip("/")).name
    return f"{Path(last).stem or 'camera'}.mp4" if source.kind == "video" else last


def _write(path: Path, image_bgr: Bytes) -> None:
    encoded, data = cv2.imencode(path.suffix, image_bgr)
    if not encoded:
        raise OSError(f"{path}: cannot be encoded as {path.suffix}")
    write_whole(path, data.tobytes())


@contextmanager
def _video(path: Path, frames_per_s: float) -> Iterator[Keep]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with av.open(str(partial), "w") as container:
            writer = _VideoWriter(container, frames_per_s)
            yield writer.add
            writer.finish()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _VideoWriter:
    """Encodes pictures at their times. All get the size of the first, made even because H.264 halves its colours."""

    def __init__(self, container: Any, frames_per_s: float) -> None:
        self._container, self._frames_per_s = container, frames_per_s
        self._stream: Any = None
        self._last_ms = -1

    def add(self, shown: Shown, drawn: Bytes) -> None:
        if self._stream is None:
            self._begin(drawn.shape[0] + drawn.shape[0] % 2, drawn.shape[1] + drawn.shape[1] % 2)
        size_wh = (self._stream.width, self._stream.height)
        fitting = drawn if drawn.shape[1::-1] == size_wh else cv2.resize(drawn, size_wh)
        frame = av.VideoFrame.from_ndarray(np.asarray(fitting, dtype=np.uint8), format="bgr24")
        self._last_ms = max(shown.at_ms or 0, self._last_ms + 1)  # an encoder takes only rising times
        frame.pts, frame.time_base = self._last_ms, Fraction(1, 1000)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds. Raises ValueError when there was no picture at all."""
        if self._stream is None:
            raise ValueError("source: no picture in it, expected at least one")
        self._container.mux(self._stream.encode(None))

    def _begin(self, height: int, width: int) -> None:
        rate = Fraction(self._frames_per_s).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "fast"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, 1000)
