"""A model card for tests."""

from gesturedet.anchors import CLASSROOM_ANCHORS, AnchorSpec
from gesturedet.calibration import Calibration, CalibrationError, ScoreCurve
from gesturedet.card import Exam, ModelCard
from gesturedet.figures import ClassFigures
from gesturedet.labels import BEHAVIOURS

EXAM = Exam(
    pictures_from="synthroom stills, seeds 7000 to 7099",
    pictures=100,
    behaviours=(
        ClassFigures(
            behaviour="sleeping",
            truths=12,
            ap50=0.75,
            ap50_interval=(0.6, 0.875),
            ap30=0.875,
            threshold=0.5,
            right=9,
            wrong=3,
            precision=0.75,
            recall=0.75,
            f1=0.75,
        ),
    ),
)

CURVE = ScoreCurve(bend=0.25, there=0.4, below=4.0, above=0.9)
CALIBRATION = Calibration(
    curves={"stand-up": CURVE}, fitted_on="synthroom val", error=CalibrationError(before=0.1234, after=0.0312)
)


def card_for(
    input_hw: tuple[int, int], *, digest: str = "0" * 64, anchors: AnchorSpec = CLASSROOM_ANCHORS
) -> ModelCard:
    return ModelCard(
        name="test",
        digest=digest,
        precision="fp32",
        labels=BEHAVIOURS,
        input_hw=input_hw,
        frame_width=640,
        thresholds=dict.fromkeys(BEHAVIOURS, 0.5),
        nms_iou=0.45,
        anchors=anchors,
        data_seeds={"train": "1000 to 1999"},
        recipe={"name": "product", "epochs": 30},
        lineage=("MobileNetV2, COCO",),
        exams=(EXAM,),
    )
