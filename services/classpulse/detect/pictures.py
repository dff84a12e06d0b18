"""JPEG bytes → picture, refusing before anything is allocated: the size is read from the header first. Stateless."""

import cv2
import numpy as np
from numpy.typing import NDArray

from classpulse.codec import MAX_PIXELS, identity
from classpulse.errors import InvalidRecord
from classpulse.records import Frame

Picture = NDArray[np.uint8]
"""BGR, height × width × 3."""

_START, _END = b"\xff\xd8", b"\xff\xd9"
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a length: TEM, RST0..7, SOI."""

_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""SOF0..15 without DHT, JPG and DAC, which lie between them (ITU-T T.81, table B.1)."""

_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_picture(frame: Frame) -> Picture:
    """The picture of a frame. Raises InvalidRecord `bad_size` or `corrupt_jpeg`."""
    width, height = jpeg_size(frame.jpeg)
    if not 0 < width * height <= MAX_PIXELS:
        raise InvalidRecord(
            "bad_size", f"JPEG of {identity(frame)} is {width}x{height}; expected 1 to {MAX_PIXELS} pixels"
        )
    if (width, height) != (frame.width, frame.height):
        raise InvalidRecord(
            "bad_size", f"JPEG of {identity(frame)} is {width}x{height}; expected {frame.width}x{frame.height}"
        )
    if not frame.jpeg.endswith(_END):
        raise InvalidRecord("corrupt_jpeg", f"JPEG of {identity(frame)} is cut off; expected an end marker FFD9")
    picture = _decode(frame.jpeg)
    if picture is None or picture.shape != (height, width, 3):
        raise InvalidRecord("corrupt_jpeg", f"JPEG of {identity(frame)} does not decode; expected {width}x{height}")
    return picture


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """(width, height) from the frame header (SOFn). Raises InvalidRecord `corrupt_jpeg` where there is none."""
    if not jpeg.startswith(_START):
        raise InvalidRecord("corrupt_jpeg", f"picture begins with {jpeg[:2].hex()!r}; expected JPEG's 'ffd8'")
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
        elif marker in _FRAME_HEADERS and at + 9 <= len(jpeg):
            return int.from_bytes(jpeg[at + 7 : at + 9]), int.from_bytes(jpeg[at + 5 : at + 7])
        else:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    raise InvalidRecord("corrupt_jpeg", f"no frame header in {len(jpeg)} bytes of JPEG; expected a SOF marker")


def _decode(jpeg: bytes) -> Picture | None:
    try:
        picture: Picture | None = cv2.imdecode(np.frombuffer(jpeg, np.uint8), _FLAGS)
    except cv2.error:
        return None
    return picture
