"""Pictures and any detector → judged pictures: the exam that every runtime and every epoch sits in the same way."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gesturedet.data.voc import LabelledPicture, read_pixels
from gesturedet.evaluation import JudgedPicture
from gesturedet.labels import BEHAVIOURS, class_of
from gesturedet.postprocess import Detection

Detect = Callable[[NDArray[np.uint8]], Sequence[Detection]]
"""Takes a picture as OpenCV decodes it (blue first) and returns what it finds."""

LEAST_SCORE = 0.01
"""Detections below it are not asked for: they come so late in the ranking that they change no figure."""


def judge(
    pictures: Iterable[LabelledPicture],
    detect: Detect,
    *,
    behaviours: Sequence[str] = BEHAVIOURS,
    at_least_hw: tuple[int, int] | None = None,
) -> Iterator[JudgedPicture]:
    """Show a detector one picture after another and put what it finds beside the truth.

    With `at_least_hw` pictures are decoded no larger than needed for it, as cameras send them; see `voc.read_pixels`.
    """
    for picture in pictures:
        pixels = np.asarray(cv2.cvtColor(read_pixels(picture, at_least_hw=at_least_hw), cv2.COLOR_RGB2BGR), np.uint8)
        found = detect(pixels)
        yield JudgedPicture(
            group=picture.group,
            truth_boxes_xyxy=picture.truth.boxes_xyxy,
            truth_class_ids=picture.truth.class_ids,
            truth_ignored=picture.truth.ignored,
            boxes_xyxy=np.array([one.box_xyxy for one in found], dtype=np.float32).reshape(-1, 4),
            class_ids=np.array([class_of(one.behaviour, behaviours) for one in found], dtype=np.int64),
            scores=np.array([one.score for one in found], dtype=np.float32),
        )


def frame_hw(input_hw: tuple[int, int]) -> tuple[int, int]:
    """Return the least size at which pictures are decoded for a net: half again as large as its input."""
    return (round(input_hw[0] * 1.5), round(input_hw[1] * 1.5))
