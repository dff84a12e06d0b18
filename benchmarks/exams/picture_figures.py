"""A release and the pictures of an exam → its figures, each with counts and a 95 % interval by room.

G truths and D detections of one picture, R rooms, S draws of rooms.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from benchmarks.exams.intervals import (
    Integers,
    calibration,
    mean_average_precision,
    mean_average_precisions,
    rounded,
    rounded_interval,
    share_interval,
)
from numpy.typing import NDArray

from gesturedet.boxes import iou_matrix
from gesturedet.calibration import BINS, CALIBRATED_FROM, expected_error
from gesturedet.card import Release
from gesturedet.data.voc import LabelledPicture
from gesturedet.evaluation import (
    JudgedPicture,
    Ranking,
    average_precision,
    average_precision_interval,
    interval,
    operating_point,
    rank,
    room_draws,
)
from gesturedet.faults import LEAST_IOU, Fault, faults_of
from gesturedet.figures import summarise
from gesturedet.judging import LEAST_SCORE, frame_hw, judge
from gesturedet.labels import BEHAVIOURS, class_of
from gesturedet.postprocess import Detection
from gesturedet.predictor import Predictor
from gesturedet.runtime.onnxruntime import OnnxRuntime
from synthroom.datacard import SIZES
from synthroom.pictures import ADULT

LABELS = (*BEHAVIOURS, ADULT)
"""Classes of an exam's truth: what is to be found, and the adults, who are not."""
ON_ADULT = 0.5
"""A false alarm is on an adult when this share of its box lies in an adult's."""


@dataclass(frozen=True)
class Sitting:
    """What a release said of an exam's pictures, in their order; alarms are false ones at the card's thresholds."""

    thresholds: Mapping[str, float]
    judged: Sequence[JudgedPicture]
    alarms: Sequence[Sequence[Fault]]

    def rankings(self, least_iou: float = LEAST_IOU) -> tuple[Ranking, ...]:
        """All detections, judged, for each behaviour."""
        return tuple(rank(self.judged, class_of(name), least_iou=least_iou) for name in BEHAVIOURS)


def sit(release: Release, pictures: Iterable[LabelledPicture]) -> Sitting:
    """Let a release look at every picture as a service would run it, down to a very low score.

    Raises ValueError for a release that does not publish the behaviours of the exams.
    """
    card = release.card
    if card.published != BEHAVIOURS:
        raise ValueError(f"{card.name}: publishes {', '.join(card.published)}, expected {', '.join(BEHAVIOURS)}")
    thresholds = {name: card.thresholds[name] for name in BEHAVIOURS}
    predictor = Predictor(release, OnnxRuntime(release.onnx_bytes))
    judged, alarms = list[JudgedPicture](), list[list[Fault]]()
    for picture in pictures:
        found: list[Detection] = []

        def look(pixels: NDArray[np.uint8], found: list[Detection] = found) -> list[Detection]:
            found += predictor.predict(pixels, min_score=LEAST_SCORE)
            return found

        judged += judge([picture], look, behaviours=LABELS, at_least_hw=frame_hw(card.input_hw))
        alarms.append(faults_of(picture, found, labels=BEHAVIOURS, thresholds=thresholds)[0])
    return Sitting(thresholds, judged, alarms)


def picture_figures(sitting: Sitting) -> dict[str, Any]:
    """All figures of one release on one exam of pictures."""
    rooms = list(dict.fromkeys(picture.group for picture in sitting.judged))
    draws, rankings = room_draws(len(rooms)), sitting.rankings()
    many, error, errors = calibration(rankings, draws, least_score=CALIBRATED_FROM)
    return {
        "pictures": len(sitting.judged),
        "rooms": len(rooms),
        "map50": rounded(mean_average_precision(rankings)),
        "map50_interval": rounded_interval(interval(mean_average_precisions(rankings, draws))),
        "behaviours": _behaviours(sitting, rankings, draws),
        "calibration": {
            "least_score": CALIBRATED_FROM,
            "bins": BINS,
            "detections": many,
            "error": rounded(error),
            "error_interval": rounded_interval(errors),
        },
        "false_alarms": _false_alarms(sitting, rooms, draws),
        "sizes": [row for least, name in SIZES for row in _size(sitting, least, name, draws)],
    }


def _behaviours(sitting: Sitting, rankings: Sequence[Ranking], draws: Integers) -> list[dict[str, Any]]:
    """What a card says of each behaviour, and the intervals that it has no room for."""
    rows = []
    told = summarise(sitting.judged, thresholds=sitting.thresholds)
    for row, ranking, loose in zip(told, rankings, sitting.rankings(0.3), strict=True):
        right, wrong = passed_by_room(ranking, row.threshold)
        sure = ranking.scores >= CALIBRATED_FROM
        rows.append(
            {
                **asdict(row),
                "ap30_interval": rounded_interval(average_precision_interval(loose)),
                "precision_interval": rounded_interval(share_interval(right, right + wrong, draws)),
                "recall_interval": rounded_interval(share_interval(right, ranking.truths_by_group, draws)),
                "calibration_error": rounded(expected_error(ranking.scores[sure], ranking.right[sure])),
            }
        )
    return rows


def passed_by_room(ranking: Ranking, threshold: float) -> tuple[Integers, Integers]:
    """Right and wrong detections from a threshold on, by room."""
    passed, rooms = ranking.scores >= threshold, len(ranking.truths_by_group)
    right = np.bincount(ranking.groups[passed & ranking.right], minlength=rooms)
    return right, np.bincount(ranking.groups[passed & ~ranking.right], minlength=rooms)


def _false_alarms(sitting: Sitting, rooms: Sequence[str], draws: Integers) -> dict[str, Any]:
    pictures, alarms, on_adults = (np.zeros(len(rooms), dtype=np.int64) for _ in range(3))
    by_behaviour = dict.fromkeys(BEHAVIOURS, 0)
    for picture, found in zip(sitting.judged, sitting.alarms, strict=True):
        room = rooms.index(picture.group)
        pictures[room] += 1
        alarms[room] += len(found)
        on_adults[room] += sum(on_adult(alarm, picture) for alarm in found)
        for alarm in found:
            by_behaviour[alarm.behaviour] += 1
    total = int(alarms.sum())
    return {
        "all": total,
        "on_adults": int(on_adults.sum()),
        "by_behaviour": by_behaviour,
        "per_picture": rounded(total / max(len(sitting.judged), 1)),
        "per_picture_interval": rounded_interval(share_interval(alarms, pictures, draws)),
        "on_adults_per_picture": rounded(int(on_adults.sum()) / max(len(sitting.judged), 1)),
        "on_adults_per_picture_interval": rounded_interval(share_interval(on_adults, pictures, draws)),
    }


def on_adult(alarm: Fault, picture: JudgedPicture) -> bool:
    """Whether a false alarm lies, by `ON_ADULT` of its area, in the box of one adult."""
    adults = picture.truth_boxes_xyxy[picture.truth_class_ids == class_of(ADULT, LABELS)]
    box = np.array(alarm.box_xyxy)
    sides = np.minimum(adults[:, 2:], box[2:]) - np.maximum(adults[:, :2], box[:2])
    return bool((sides.clip(0).prod(1) >= ON_ADULT * alarm.area).any())


def _size(sitting: Sitting, least: float, name: str, draws: Integers) -> list[dict[str, Any]]:
    """Figures of the objects of one size, for each behaviour that has some."""
    most = min((other for other, _ in SIZES if other > least), default=np.inf)
    judged, rows = [of_size(picture, least, most) for picture in sitting.judged], []
    for behaviour, threshold in sitting.thresholds.items():
        ranking = rank(judged, class_of(behaviour), least_iou=LEAST_IOU)
        if ranking.truths == 0:
            continue
        right, _ = passed_by_room(ranking, threshold)
        rows.append(
            {
                "size": name,
                "behaviour": behaviour,
                "truths": ranking.truths,
                "ap50": rounded(average_precision(ranking)),
                "ap50_interval": rounded_interval(average_precision_interval(ranking)),
                "recall": rounded(operating_point(ranking, threshold).recall),
                "recall_interval": rounded_interval(share_interval(right, ranking.truths_by_group, draws)),
            }
        )
    return rows


def of_size(picture: JudgedPicture, least: float, most: float) -> JudgedPicture:
    """The picture with only the objects that cover `least` (included) to `most` (not) of it counted, as COCO does it.

    Other objects are neither right nor wrong when found. A detection of another size counts only where it finds an object of
    this one.
    """
    truths_G, found_D = (
        (least <= area) & (area < most) for area in map(_areas, (picture.truth_boxes_xyxy, picture.boxes_xyxy))
    )
    iou_DG = iou_matrix(picture.boxes_xyxy, picture.truth_boxes_xyxy)
    same_DG = picture.class_ids[:, None] == picture.truth_class_ids[None]
    kept_D = found_D | ((iou_DG >= LEAST_IOU) & same_DG & truths_G).any(1)
    return replace(
        picture,
        truth_ignored=picture.truth_ignored | ~truths_G,
        boxes_xyxy=picture.boxes_xyxy[kept_D],
        class_ids=picture.class_ids[kept_D],
        scores=picture.scores[kept_D],
    )


def _areas(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float64]:
    sides = boxes_xyxy[:, 2:].astype(np.float64) - boxes_xyxy[:, :2]
    return np.asarray(sides.prod(1))
