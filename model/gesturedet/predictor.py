"""A picture → detections, with a release and a runtime: what a service or a script uses.

Legend: A default boxes, K classes, C channels, H and W.
"""

from collections.abc import Sequence

import numpy as np

from gesturedet.anchors import anchors_cxcywh
from gesturedet.card import ModelCard, Release
from gesturedet.postprocess import Detection, postprocess
from gesturedet.preprocess import Bytes, place_xywh, preprocess, preprocess_bytes
from gesturedet.runtime.base import Floats, Images, Runtime


class Predictor:
    """Finds behaviours in one picture after another.

    `predict` does all. A service that decodes in threads while the net runs calls `prepare` and `finish` there and the
    runtime between them; both only read what was made here, so any thread may call them.
    """

    def __init__(self, release: Release, runtime: Runtime) -> None:
        self.card: ModelCard = release.card
        self.runtime = runtime
        self._anchors_cxcywh_A4 = anchors_cxcywh(self.card.input_hw, self.card.anchors)

    def predict(self, image_HWC_bgr: Bytes, *, min_score: float | None = None) -> list[Detection]:
        """Return what the picture (BGR bytes, any size) shows, best first; boxes in fractions of it.

        Scores are calibrated where the card says how. With `min_score` (above 0, at most 1) it stands for the card's
        thresholds. Raises ValueError for an array that is
        no picture.
        """
        (found,) = self.predict_all([image_HWC_bgr], min_score=min_score)
        return found

    def predict_all(self, images_HWC_bgr: Sequence[Bytes], *, min_score: float | None = None) -> list[list[Detection]]:
        """Return what each of several pictures shows, from one call of the runtime; as `predict`, of which it raises the same.

        No pictures show nothing.
        """
        if not images_HWC_bgr:
            return []
        prepared = [self.prepare(image) for image in images_HWC_bgr]
        logits_BAK, offsets_BA4 = self.runtime.run(np.concatenate(prepared) if len(prepared) > 1 else prepared[0])
        return [
            self.finish(logits_AK, offsets_A4, (image.shape[0], image.shape[1]), min_score=min_score)
            for image, logits_AK, offsets_A4 in zip(images_HWC_bgr, logits_BAK, offsets_BA4, strict=True)
        ]

    def prepare(self, image_HWC_bgr: Bytes) -> Images:
        """Return one picture as the net takes it; several may be joined along the first axis."""
        make = preprocess_bytes if self.runtime.input.in_bytes else preprocess
        return make(image_HWC_bgr, self.card.input_hw)

    def finish(
        self, logits_AK: Floats, offsets_A4: Floats, picture_hw: tuple[int, int], *, min_score: float | None = None
    ) -> list[Detection]:
        """Return the detections of one picture from its rows of the runtime's outputs; `min_score` as in `predict`.

        `picture_hw` is the size of the picture that was given to `prepare`.
        """
        thresholds = self.card.thresholds if min_score is None else dict.fromkeys(self.card.labels, min_score)
        return postprocess(
            logits_AK,
            offsets_A4,
            self._anchors_on(picture_hw),
            thresholds=thresholds,
            nms_iou=self.card.nms_iou,
            unpublished=self.card.unpublished,
            curves=self.card.curves,
        )

    def _anchors_on(self, picture_hw: tuple[int, int]) -> Floats:
        """Return the default boxes in fractions of a picture; on one that is padded, some lie beyond its edges.

        A box is found relative to its default box, so it comes out in fractions of the picture too, and one that lies
        wholly in the padding is cut to nothing and dropped.
        """
        x, y, width, height = place_xywh(picture_hw, self.card.input_hw)
        if (width, height) == (1.0, 1.0):
            return self._anchors_cxcywh_A4
        corner, sides = np.array([x, y, 0, 0], np.float32), np.array([width, height, width, height], np.float32)
        return (self._anchors_cxcywh_A4 - corner) / sides
