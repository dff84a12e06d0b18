"""Judged pictures → the figures people read: one line for each behaviour (end of training, beginning of a card)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gesturedet.evaluation import (
    JudgedPicture,
    average_precision,
    average_precision_interval,
    best_threshold,
    eleven_point_precision,
    operating_point,
    rank,
)
from gesturedet.labels import AUXILIARY, BEHAVIOURS, class_of


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How well one behaviour is found, with the counts that say how much the figures are worth.

    `ap50`, `ap30`: average precision at an IoU of 0.5 and 0.3; None where there was nothing to find.
    `ap50_interval`: 95 %, by a bootstrap over rooms. Precision, recall and f1 hold at `threshold` and IoU 0.5.
    """

    behaviour: str
    truths: int
    ap50: float | None
    ap50_interval: tuple[float, float] | None
    ap30: float | None
    threshold: float
    right: int
    wrong: int
    precision: float
    recall: float
    f1: float


def summarise(
    pictures: Sequence[JudgedPicture],
    *,
    behaviours: Sequence[str] = BEHAVIOURS,
    thresholds: Mapping[str, float] | None = None,
    least_iou: float = 0.5,
) -> tuple[ClassFigures, ...]:
    """Return figures for each behaviour; without `thresholds` each gets the one with the best F1 on these pictures."""
    rows = []
    for class_id, behaviour in enumerate(behaviours, start=1):
        ranking = rank(pictures, class_id, least_iou=least_iou)
        loose = rank(pictures, class_id, least_iou=0.3)
        point = best_threshold(ranking) if thresholds is None else operating_point(ranking, thresholds[behaviour])
        low, high = average_precision_interval(ranking)
        rows.append(
            ClassFigures(
                behaviour=behaviour,
                truths=ranking.truths,
                ap50=_rounded(average_precision(ranking)),
                ap50_interval=None if math.isnan(low) else (round(low, 4), round(high, 4)),
                ap30=_rounded(average_precision(loose)),
                threshold=math.floor(point.threshold * 10_000) / 10_000,  # never above the score itself
                right=point.right,
                wrong=point.wrong,
                precision=round(point.precision, 4),
                recall=round(point.recall, 4),
                f1=round(point.f1, 4),
            )
        )
    return tuple(rows)


def report(
    pictures: Sequence[JudgedPicture], rows: Sequence[ClassFigures], *, behaviours: Sequence[str] = BEHAVIOURS
) -> dict[str, Any]:
    """Return all figures of an exam, to be written down; `rows` are all or some of those of `summarise`.

    `map50` is the mean of the areas under the curves (VOC 2010 on), `map50_11_point` of the averages of eleven points (VOC
    2007), `ap50_11_point` names those.
    """
    rankings = {row.behaviour: rank(pictures, class_of(row.behaviour, behaviours), least_iou=0.5) for row in rows}
    points = {name: _rounded(eleven_point_precision(ranking)) for name, ranking in rankings.items()}
    as_points = [replace(row, ap50=points[row.behaviour]) for row in rows]
    return {
        "pictures": len(pictures),
        "map50": round(mean_average_precision(rows), 4),
        "map50_11_point": round(mean_average_precision(as_points), 4),
        "ap50_11_point": points,
        "behaviours": [asdict(row) for row in rows],
    }


def mean_average_precision(figures: Sequence[ClassFigures]) -> float:
    """Return the mean of `ap50` over the behaviours that occur, classes that are never published aside; 0 if none does."""
    known = [row.ap50 for row in figures if row.ap50 is not None and row.behaviour not in AUXILIARY]
    return sum(known) / len(known) if known else 0.0


def as_text(figures: Sequence[ClassFigures]) -> str:
    """Return the figures as a table for a terminal or a log."""
    lines = [
        f"{'behaviour':<14}{'truths':>7}{'AP50':>7}{'95 %':>14}{'AP30':>7}{'score':>7}{'prec':>7}{'rec':>7}{'F1':>7}"
    ]
    for row in figures:
        interval = "-" if row.ap50_interval is None else "{:.3f}-{:.3f}".format(*row.ap50_interval)
        lines.append(
            f"{row.behaviour:<14}{row.truths:>7}{_text(row.ap50):>7}{interval:>14}{_text(row.ap30):>7}"
            f"{row.threshold:>7.3f}{row.precision:>7.3f}{row.recall:>7.3f}{row.f1:>7.3f}"
        )
    return "\n".join(lines)


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
