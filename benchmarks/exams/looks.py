"""Picture or clip → its looks: what two processors that draw the same room agree on, though not on the last bits.

Looks are the mean grey of 12 x 8 equal parts of the picture, row by row, two hexadecimal digits each. A clip has those of the
frame in its middle.
"""

from pathlib import Path

import cv2
import numpy as np

from gesturedet.sources import Bytes, open_source, read_picture

PARTS_WH = (12, 8)
TOLERANCE = 4
"""How far, of 255, a part may be from the frozen one: six times what other instruction sets made of the same rooms (0.7 in the worst part
of 96 pictures), an eighth of what the nearest other picture of an exam is away (33); see docs/decisions/0017."""


def picture_looks(path: Path) -> str:
    """Looks of a picture. Raises ValueError for a file that is none."""
    return _looks(read_picture(path))


def clip_looks(path: Path) -> str:
    """Looks of a clip. Raises ValueError for a file that is none, or that ends before its middle."""
    shown = open_source(str(path))
    middle = (shown.total or 0) // 2
    for place, one in enumerate(shown.pictures(_raise)):
        if place == middle:
            return _looks(one.image_bgr)
    raise ValueError(f"{path}: ends before frame {middle}, expected {shown.total} frames")


def difference(looks: str, others: str) -> int:
    """How far the two are apart, of 255, in the part in which they are furthest. Raises ValueError for what are no looks."""
    one, other = _parts(looks), _parts(others)
    return int(np.abs(one - other).max())


def _looks(image_bgr: Bytes) -> str:
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    return str(cv2.resize(grey, PARTS_WH, interpolation=cv2.INTER_AREA).tobytes().hex())


def _parts(looks: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    parts = np.frombuffer(bytes.fromhex(looks), np.uint8).astype(np.int16)
    if len(parts) != PARTS_WH[0] * PARTS_WH[1]:
        raise ValueError(f"looks: {len(parts)} parts, expected {PARTS_WH[0]} x {PARTS_WH[1]}")
    return parts


def _raise(fault: str) -> None:
    raise ValueError(fault)
