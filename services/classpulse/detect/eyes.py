"""Picture → detections: GestureDet behind the worker's seam `Eyes`."""

import logging
from collections.abc import Sequence

import numpy as np

from classpulse.detect.devices import AUTO, RUNTIMES_OF, Device, device_here
from classpulse.detect.pictures import Picture
from classpulse.errors import BadInput
from classpulse.records import Detection
from classpulse.settings import Settings, nearest
from gesturedet.card import PACKAGED, Release, find_release
from gesturedet.postprocess import Detection as Found
from gesturedet.predictor import Predictor
from gesturedet.runtime.base import RUNTIMES, open_runtime

_log = logging.getLogger("classpulse.detect")

SCORE_DIGITS = 4
BOX_DIGITS = 5
"""A hundredth of a pixel on a 640-wide picture: below what the net knows, and stable text in the log."""

WARM_LOOKS = 3
BLANK_HW = (540, 960)


class GestureEyes:
    """GestureDet on one runtime. `refused`: the runtimes that were tried before it, and why each does not look."""

    def __init__(self, predictor: Predictor, runtime: str, refused: tuple[str, ...] = ()) -> None:
        self.digest, self.labels = predictor.card.digest, predictor.card.published
        self.runtime, self.refused = runtime, refused
        self._predictor = predictor

    @property
    def at_once(self) -> int:
        """So many pictures are best looked at together."""
        return self._predictor.runtime.at_once

    def see(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Pictures through the net, `at_once` together."""
        return [
            [_told(one) for one in found]
            for start in range(0, len(pictures), self.at_once)
            for found in self._predictor.predict_all(pictures[start : start + self.at_once])
        ]

    def warm(self) -> None:
        """Look at nothing: a net's first looks take longer than those that follow. A device without room for them breaks off here."""
        blank = np.zeros((*BLANK_HW, 3), np.uint8)
        for count in (*[1] * WARM_LOOKS, *([self.at_once] if self.at_once > 1 else [])):
            self.see([blank] * count)


def open_eyes(settings: Settings, device: Device | None = None) -> GestureEyes:
    """The release and the runtime of these settings. Raises BadInput naming what is wrong with either."""
    return eyes_of(open_release(str(settings.model or PACKAGED)), settings, device)


def eyes_of(release: Release, settings: Settings, device: Device | None = None) -> GestureEyes:
    """A release on the runtime of these settings, warm; `auto` takes the first that looks on the device, and says which do not.

    `device`: None for what this machine has. Raises BadInput naming what is wrong with the runtime, or with each of them.
    """
    if settings.runtime not in (AUTO, *RUNTIMES):
        raise BadInput([f"runtime = {settings.runtime!r}: unknown; {nearest(settings.runtime, [AUTO, *RUNTIMES])}"])
    names = RUNTIMES_OF[device or device_here()] if settings.runtime == AUTO else (settings.runtime,)
    refused: list[str] = []
    for name in names:
        try:
            runtime = open_runtime(name, release.onnx_bytes, threads=settings.runtime_threads)
            eyes = GestureEyes(Predictor(release, runtime), name, tuple(refused))
            eyes.warm()
        except ValueError as error:  # RuntimeAbsent, RuntimeRefused and NetMismatch are ValueErrors
            refused += _refused("runtime", name, error).faults
        except Exception as error:  # noqa: BLE001 - each runtime breaks off in its own way
            refused.append(f"runtime = {name!r}: broke off at its first looks, {type(error).__name__}: {error}")
        else:
            for fault in refused:
                _log.warning("%s; taking %s", fault, name)
            return eyes
    raise BadInput(refused)


def open_release(model: str) -> Release:
    """A release by its name or folder, checked against its card's digest. Raises BadInput where it is not what it says."""
    try:
        return find_release(model)
    except (OSError, ValueError) as error:  # DigestMismatch is a ValueError
        raise _refused("model", model, error) from error


def _refused(key: str, value: str, error: Exception) -> BadInput:
    """An error of the detector as a fault that names key and value once, although some of its own begin with them."""
    said = str(error)
    for start in (f"{key}: {value!r} is ", f"{key} {value!r}: "):
        said = said.removeprefix(start)
    return BadInput([f"{key} = {value!r}: {said}"])


def _told(found: Found) -> Detection:
    return Detection(
        behaviour=found.behaviour,
        score=round(float(found.score), SCORE_DIGITS),
        box_xyxy=_rounded(found.box_xyxy),
    )


def _rounded(box_xyxy: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(v), BOX_DIGITS) for v in box_xyxy)
    return x1, y1, x2, y2
