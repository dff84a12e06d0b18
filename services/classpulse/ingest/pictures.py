"""picture → JPEG: privacy masks, the frame's width, encoding once. What a mask touches never leaves the camera's thread."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from classpulse.errors import InvalidRecord
from classpulse.ingest.sources.base import Image, Picture, check_size

FRAME_WIDTH = 640
QUALITY = 80
SUBPIXEL_BITS = 4

Polygon = Sequence[tuple[float, float]]


class Printer:
    """Makes the JPEGs of one camera. `masks` are polygons in fractions of the picture; `width` is the most in pixels."""

    def __init__(self, masks: Sequence[Polygon] = (), width: int | None = None) -> None:
        self._masks = masks
        self._width = width or FRAME_WIDTH
        self._covered: dict[tuple[int, int, int, int], NDArray[np.bool_]] = {}

    def print(self, picture: Picture) -> tuple[int, int, bytes]:
        """(width, height, JPEG). Raises SourceError for a size no picture may have, InvalidRecord if it cannot be encoded."""
        check_size(picture.width, picture.height)
        width, height = printed_size(picture.width, picture.height, self._width)
        image = picture.scaled(width, height)
        if self._masks:
            image = self._hide(image, picture.width, picture.height)
        try:
            done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        except cv2.error as error:
            raise InvalidRecord("decode_error", f"picture of {width}x{height}: {error.err}") from None
        if not done:
            raise InvalidRecord("decode_error", f"picture of {width}x{height} cannot be encoded; expected a JPEG")
        return width, height, jpeg.tobytes()

    def _hide(self, image: Image, source_width: int, source_height: int) -> Image:
        height, width = image.shape[:2]
        key = (source_width, source_height, width, height)
        if key not in self._covered:
            self._covered = {key: covered(self._masks, *key)}
        image = image if image.flags.writeable else image.copy()
        image[self._covered[key]] = 0
        return image


def printed_size(width: int, height: int, most_width: int) -> tuple[int, int]:
    """The size of a frame: at most so wide, of the same shape, both sides even; nothing is enlarged."""
    wide = max(2, min(width, most_width) // 2 * 2)
    return wide, max(2, round(height * wide / width / 2) * 2)


def covered(
    masks: Sequence[Polygon], source_width: int, source_height: int, width: int, height: int
) -> NDArray[np.bool_]:
    """Which pixels of the scaled picture hold any part of a source pixel that a polygon touches (height × width)."""
    drawn = np.zeros((source_height, source_width), dtype=np.uint8)
    scale = np.array([source_width, source_height], dtype=np.float64) * (1 << SUBPIXEL_BITS)
    half = (1 << SUBPIXEL_BITS) / 2  # fractions count from the picture's edge, OpenCV from its first pixel's centre
    for polygon in masks:
        points = np.round(np.asarray(polygon, dtype=np.float64) * scale - half).astype(np.int32)
        cv2.fillPoly(drawn, [points], color=255, shift=SUBPIXEL_BITS)
    rows = _cells(source_height, height)
    columns = _cells(source_width, width)
    touched = np.maximum.reduceat(np.maximum.reduceat(drawn, rows, axis=0), columns, axis=1) > 0
    if source_width % width or source_height % height:  # scaled pixels then share source pixels with their neighbours
        touched = np.asarray(cv2.dilate(touched.astype(np.uint8), np.ones((3, 3), dtype=np.uint8)), dtype=np.bool_)
    return touched


def _cells(source: int, target: int) -> NDArray[np.int64]:
    """The first source pixel of each target pixel."""
    return np.arange(target, dtype=np.int64) * source // target
