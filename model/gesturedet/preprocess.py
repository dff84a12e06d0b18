"""A picture → what the net reads; the same in training, in evaluation and in service.

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


def preprocess(image_HWC_bgr: Bytes, input_hw: tuple[int, int]) -> Floats:
    """Turn a picture of any size, as OpenCV decodes it, into images_1CHW for the net.

    Raises ValueError for an array that is no picture.
    """
    check_picture(image_HWC_bgr)
    return normalise(resize(image_HWC_bgr, input_hw))


def preprocess_bytes(image_HWC_bgr: Bytes, input_hw: tuple[int, int]) -> Bytes:
    """Turn a picture of any size, as OpenCV decodes it, into images_1HWC for a net that normalises them itself.

    Raises ValueError for an array that is no picture.
    """
    check_picture(image_HWC_bgr)
    return np.ascontiguousarray(resize(image_HWC_bgr, input_hw))[None]
