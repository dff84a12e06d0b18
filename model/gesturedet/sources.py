"""A picture, a folder, a video or a camera → one picture after another, as OpenCV decodes them."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Fault = Callable[[str], None]
"""Is told in a line why a picture is left out."""

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
STREAM_TIMEOUT_S = 10.0
"""A camera that sends nothing for so long is gone."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture. `at_ms`: stream time since the first picture of a video or camera; None for a still."""

    name: str
    image_bgr: Bytes
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What is looked at; `where` it is: a file, the folder that holds the pictures, or a URL.

    `total`: how many pictures, None where nobody knows. `frames_per_s`: a video's, if it says so.

    `pictures` may be gone through once; it calls `fault` with a line about each picture of a folder that cannot be read.
    """

    where: str
    name: str
    kind: Literal["picture", "folder", "video"]
    total: int | None
    frames_per_s: float | None
    pictures: Callable[[Fault], Iterator[Shown]]


def open_source(where: str) -> Source:
    """Say what is at a path, a device such as /dev/video0, or a URL such as rtsp://camera/stream.

    Raises FileNotFoundError where nothing is, ValueError naming what can be neither seen as a picture nor as a video.
    """
    if "://" in where:
        return _video(where, name=_without_password(where))
    path = Path(where)
    if not path.exists():
        raise FileNotFoundError(f"source: {where!r} is not there, expected a picture, a folder, a video or a camera")
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return Source(where, path.name, "picture", 1, None, lambda _fault: iter([Shown(path.name, read_picture(path))]))
    return _video(where, name=path.name, container_format="v4l2" if path.is_char_device() else None)


def read_picture(path: Path) -> Bytes:
    """Decode a picture to BGR. Raises ValueError for a file that is none."""
    encoded = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if len(encoded) else None
    if pixels is None:
        raise ValueError(f"{path}: {len(encoded)} bytes are not a readable picture")
    return np.asarray(pixels, dtype=np.uint8)


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder by name; of a VOC folder those in JPEGImages.

    Raises ValueError for a folder without any.
    """
    inner = folder / "JPEGImages"
    holder = inner if inner.is_dir() else folder
    found = sorted(path for path in holder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not found:
        raise ValueError(f"{holder}: no picture in it, expected names ending in {', '.join(sorted(PICTURE_SUFFIXES))}")
    return found


def readable(paths: Sequence[Path], fault: Fault) -> list[Path]:
    """Return the pictures that can be read, and call `fault` with a line about each other. Raises ValueError for none."""
    fine = [path for path, _ in _read(paths, fault)]
    if not fine:
        raise ValueError(f"pictures: none of {len(paths)} can be read, expected at least one")
    return fine


def _read(paths: Iterable[Path], fault: Fault) -> Iterator[tuple[Path, Bytes]]:
    for path in paths:
        try:
            yield path, read_picture(path)
        except (ValueError, OSError) as error:
            fault(str(error))


def _folder(folder: Path) -> Source:
    paths = pictures_in(folder)

    def pictures(fault: Fault) -> Iterator[Shown]:
        return (Shown(path.name, image_bgr) for path, image_bgr in _read(paths, fault))

    return Source(str(paths[0].parent), folder.name, "folder", len(paths), None, pictures)


def _video(url: str, *, name: str, container_format: str | None = None) -> Source:
    options = {"rtsp_transport": "tcp"} if url.startswith("rtsp") else {}
    limit = STREAM_TIMEOUT_S if "://" in url else None
    try:
        container = av.open(url, format=container_format, options=options, timeout=limit)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ValueError(f"source: {name!r}: {_reason(error)}, expected a picture or a video") from error
    if not container.streams.video:
        container.close()
        raise ValueError(f"source: {name!r} has no video stream, expected one")
    stream = container.streams.video[0]
    rate = float(stream.average_rate) if stream.average_rate else None
    return Source(url, name, "video", stream.frames or None, rate, lambda _fault: _decoded(container, name))


def _decoded(container: Any, name: str) -> Iterator[Shown]:
    """Go through a video; what was seen before a fault has been seen. Raises ValueError where it breaks off."""
    first_s: float | None = None
    with closing(container):
        container.streams.video[0].thread_type = "AUTO"
        try:
            for frame in container.decode(video=0):
                now_s = float(frame.time or 0.0)
                first_s = now_s if first_s is None else first_s
                yield Shown(name, _upright(frame), round((now_s - first_s) * 1000))
        except av.FFmpegError as error:
            raise ValueError(f"source: {name!r} breaks off: {_reason(error)}") from error


def _upright(frame: Any) -> Bytes:
    """Return the pixels as they are to be seen: telephones film on their side and say so."""
    pixels = np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _without_password(url: str) -> str:
    return re.sub(r"://[^/@]*@", "://", url)
