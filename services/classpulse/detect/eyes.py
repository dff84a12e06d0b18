"""Picture → detections: GestureDet behind the worker's seam `Eyes`."""

from classpulse.detect.pictures import Picture
from classpulse.errors import BadInput
from classpulse.records import Detection
from classpulse.settings import Settings, nearest
from gesturedet.card import PACKAGED, Release, find_release
from gesturedet.predictor import Predictor
from gesturedet.runtime.base import RUNTIMES, open_runtime

SCORE_DIGITS = 4
BOX_DIGITS = 5
"""A hundredth of a pixel on a 640-wide picture: below what the net knows, and stable text in the log."""


class GestureEyes:
    """GestureDet on one runtime."""

    def __init__(self, predictor: Predictor) -> None:
        self.digest = predictor.card.digest
        self._predictor = predictor

    def see(self, picture: Picture) -> list[Detection]:
        """One picture through the net."""
        return [
            Detection(
                behaviour=found.behaviour,
                score=round(float(found.score), SCORE_DIGITS),
                box_xyxy=_rounded(found.box_xyxy),
            )
            for found in self._predictor.predict(picture)
        ]


def open_eyes(settings: Settings) -> GestureEyes:
    """The release and the runtime of these settings. Raises BadInput naming what is wrong with either."""
    release = open_release(settings)
    if settings.runtime not in RUNTIMES:
        raise BadInput([f"runtime = {settings.runtime!r}: unknown; {nearest(settings.runtime, RUNTIMES)}"])
    try:
        runtime = open_runtime(settings.runtime, release.onnx_bytes, threads=settings.runtime_threads)
    except ValueError as error:  # RuntimeAbsent and NetMismatch are ValueErrors
        raise _refused("runtime", settings.runtime, error) from error
    return GestureEyes(Predictor(release, runtime))


def open_release(settings: Settings) -> Release:
    """The release of these settings, checked against its card's digest. Raises BadInput where it is not what it says."""
    try:
        return find_release(str(settings.model or PACKAGED))
    except (OSError, ValueError) as error:  # DigestMismatch is a ValueError
        raise _refused("model", str(settings.model or "bundled"), error) from error


def _refused(key: str, value: str, error: Exception) -> BadInput:
    """An error of the detector as a fault that names key and value once, although some of its own begin with them."""
    said = str(error)
    for start in (f"{key}: {value!r} is ", f"{key} {value!r}: "):
        said = said.removeprefix(start)
    return BadInput([f"{key} = {value!r}: {said}"])


def _rounded(box_xyxy: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(v), BOX_DIGITS) for v in box_xyxy)
    return x1, y1, x2, y2
