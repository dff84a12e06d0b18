"""The detector in three lines, for whoever has a picture and wants boxes; no torch, no settings, no services.

    from gesturedet.api import load
    detector = load("classroom")
    detections = detector.detect(image_bgr)

N detections of one picture.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gesturedet.card import ModelCard, find_release
from gesturedet.drawing import draw_boxes
from gesturedet.postprocess import Detection
from gesturedet.predictor import Predictor
from gesturedet.runtime.base import NetMismatch, open_runtime

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Detections:
    """What one picture shows, best first.

    `boxes_xyxy` (N, 4) in pixels of the picture that was given, edges as fractions of a pixel; `scores` (N,) 0..1;
    `labels`: the name of each. `names`: all that the detector can say, in the order of its classes.
    """

    boxes_xyxy: Floats
    scores: Floats
    labels: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def class_ids(self) -> Integers:
        """The place of each label among `names`, from 0."""
        return np.array([self.names.index(label) for label in self.labels], dtype=np.int64)

    def draw(self, image_bgr: Bytes) -> Bytes:
        """Return an annotated copy of the picture, always in BGR. Raises ValueError for an array that is no picture."""
        return draw_boxes(as_bgr(image_bgr), self.boxes_xyxy, self.scores, self.labels)

    def to_supervision(self) -> Any:
        """Return a `supervision.Detections`, names in `data["class_name"]`.

        Raises ModuleNotFoundError where the package supervision is not installed.
        """
        try:
            supervision = import_module("supervision")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "to_supervision: the package supervision is not installed, expected `pip install supervision`",
                name=error.name,
            ) from error
        return supervision.Detections(
            xyxy=self.boxes_xyxy.copy(),
            confidence=self.scores.copy(),
            class_id=self.class_ids,
            data={"class_name": np.array(self.labels, dtype=np.str_)},
        )


class Detector:
    """One release on one runtime. Calls from several threads at once are as safe as the runtime's own."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @property
    def card(self) -> ModelCard:
        """What the net is, how it was made and how good it is."""
        return self.predictor.card

    def detect(self, image_bgr: Bytes, *, min_score: float | None = None) -> Detections:
        """Find behaviours in a picture of any size and aspect, as OpenCV decodes it.

        Grey pictures (height, width) and pictures with a fourth channel, which is not looked at, are taken too. Found is
        what reaches its label's threshold in the card, or everything from `min_score` (above 0, at most 1) on. Raises
        ValueError for an array that is no picture and for another `min_score`.
        """
        if min_score is not None and not _is_score(min_score):
            raise ValueError(f"min_score: {min_score!r} is not a score above 0 and at most 1")
        picture_bgr = as_bgr(image_bgr)
        found = self.predictor.predict(picture_bgr, min_score=min_score)
        return _in_pixels(found, (picture_bgr.shape[0], picture_bgr.shape[1]), self.card.published)


def load(model: str | Path = "classroom", *, runtime: str = "onnxruntime", threads: int = 1) -> Detector:
    """Load a released model by name, or a release by its folder or its ONNX file with `card.json` beside it.

    A name goes before a folder of that name; write `./classroom` for the folder. Raises TypeError for a `model` that is
    neither text nor a path, FileNotFoundError for what is not there, ValueError for a card or a net that is not what it
    says, for a runtime that is unknown or not installed and for fewer than one thread.
    """
    release = find_release(model)
    try:
        opened = open_runtime(runtime, release.onnx_bytes, threads=threads)
    except NetMismatch as error:
        raise NetMismatch(f"model {str(model)!r} on runtime {runtime!r}: {error}") from error
    return Detector(Predictor(release, opened))


def as_bgr(image: Bytes) -> Bytes:
    """Return a picture as (height, width, 3) of bytes in BGR, the same array if it is one.

    Raises TypeError for what is no array, ValueError for one that is neither that, nor grey, nor BGR with a fourth channel.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"image_bgr: {type(image).__name__} is no picture, expected an array (cv2.imread gives None if it fails)"
        )
    if image.dtype == np.uint8 and 0 not in image.shape:
        match image.shape:
            case (_, _, 3):
                return np.ascontiguousarray(image)
            case (_, _) | (_, _, 1):
                return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
            case (_, _, 4):
                return np.ascontiguousarray(image[..., :3])
    raise ValueError(
        f"image_bgr: shape {image.shape} of {image.dtype} is no picture, "
        "expected (height, width) or (height, width, 1, 3 or 4) of uint8"
    )


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(0.0 < value <= 1.0)


def _in_pixels(found: list[Detection], size_hw: tuple[int, int], names: tuple[str, ...]) -> Detections:
    height, width = size_hw
    fractions = np.array([one.box_xyxy for one in found], dtype=np.float64).reshape(-1, 4)
    return Detections(
        boxes_xyxy=(fractions * (width, height, width, height)).astype(np.float32),
        scores=np.array([one.score for one in found], dtype=np.float32),
        labels=tuple(one.behaviour for one in found),
        names=names,
    )
