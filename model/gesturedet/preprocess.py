"""A picture → what the net reads, and where in it the picture lies.

Legend: B pictures, C channels, H and W.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_AREA_FROM = 2.5
"""Shrinking by more than this, linear interpolation would skip pixels and small hands flicker; averaging costs little."""

NARROWEST, WIDEST = 4 / 3, 64 / 27
"""Aspects (width over height) beyond which a picture is padded instead of stretched further.

The released nets learned from pictures of 16:9: between these two, people become 4/3 too wide or too tall at most
(docs/decisions/0016).
"""


def check_picture(image_HWC: NDArray[Any]) -> None:
    """Raise ValueError unless the array is a picture of at least one pixel, three channels and bytes."""
    if image_HWC.ndim != 3 or image_HWC.shape[2] != 3 or image_HWC.dtype != np.uint8 or 0 in image_HWC.shape:
        raise ValueError(
            f"image_HWC: shape {image_HWC.shape} of {image_HWC.dtype} is no picture, expected (height, width, 3) of uint8"
        )


def resize(image_HWC: Bytes, size_hw: tuple[int, int]) -> Bytes:
    """Stretch a picture to a size; boxes in fractions stay what they are."""
    height, width = size_hw
    if image_HWC.shape[:2] == size_hw:
        return image_HWC
    shrinks = max(image_HWC.shape[0] / height, image_HWC.shape[1] / width)
    method = cv2.INTER_AREA if shrinks > _AREA_FROM else cv2.INTER_LINEAR
    resized: Bytes = cv2.resize(image_HWC, (width, height), interpolation=method)
    return resized


def normalise(image_HWC_bgr: Bytes) -> Floats:
    """Turn a picture in BGR into images_1CHW in RGB, x / 127.5 - 1."""
    images_1CHW: Floats = cv2.dnn.blobFromImage(image_HWC_bgr, 1 / 127.5, mean=(127.5,) * 3, swapRB=True)
    return images_1CHW


def filled_hw(picture_hw: tuple[int, int], input_hw: tuple[int, int]) -> tuple[int, int]:
    """Say how many rows and columns of the net's input a picture fills, around the middle; the others are padding."""
    aspect = picture_hw[1] / picture_hw[0]
    rows, columns = input_hw[0] * min(WIDEST / aspect, 1.0), input_hw[1] * min(aspect / NARROWEST, 1.0)
    return max(round(rows), 1), max(round(columns), 1)


def place_xywh(picture_hw: tuple[int, int], input_hw: tuple[int, int]) -> tuple[float, float, float, float]:
    """Say where in the net's input a picture lies: its corner, width and height, in fractions of the input."""
    (rows, columns), (height, width) = filled_hw(picture_hw, input_hw), input_hw
    return (width - columns) // 2 / width, (height - rows) // 2 / height, columns / width, rows / height


def fit(image_HWC: Bytes, input_hw: tuple[int, int]) -> Bytes:
    """Bring a picture to the net's size: stretched; one of an unusual aspect only so far, and padded with its mean colour."""
    height, width = image_HWC.shape[:2]
    rows, columns = filled_hw((height, width), input_hw)
    resized = resize(image_HWC, (rows, columns))
    if (rows, columns) == input_hw:
        return resized
    top, left = (input_hw[0] - rows) // 2, (input_hw[1] - columns) // 2
    sides = (top, input_hw[0] - rows - top, left, input_hw[1] - columns - left)
    mean = np.round(cv2.mean(resized)[:3]).tolist()
    padded: Bytes = cv2.copyMakeBorder(resized, *sides, cv2.BORDER_CONSTANT, value=mean)
    return padded


def preprocess(image_HWC_bgr: Bytes, input_hw: tuple[int, int]) -> Floats:
    """Turn a picture of any size, as OpenCV decodes it, into images_1CHW for the net.

    Raises ValueError for an array that is no picture.
    """
    check_picture(image_HWC_bgr)
    return normalise(fit(image_HWC_bgr, input_hw))


def preprocess_bytes(image_HWC_bgr: Bytes, input_hw: tuple[int, int]) -> Bytes:
    """Turn a picture of any size, as OpenCV decodes it, into images_1HWC for a net that normalises them itself.

    Raises ValueError for an array that is no picture.
    """
    check_picture(image_HWC_bgr)
    return np.ascontiguousarray(fit(image_HWC_bgr, input_hw))[None]
