import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gesturedet.anchors import CLASSROOM_ANCHORS, anchors_cxcywh
from gesturedet.boxes import cxcywh_to_xyxy, decode, encode, iou_matrix
from gesturedet.calibration import ScoreCurve
from gesturedet.labels import BEHAVIOURS
from gesturedet.postprocess import MOST_CANDIDATES, Detection, Floats, postprocess, softmax

ANCHORS = anchors_cxcywh((96, 160), CLASSROOM_ANCHORS)
HALF = dict.fromkeys(BEHAVIOURS, 0.5)
CURVES = st.builds(
    ScoreCurve, bend=st.floats(0.1, 0.6), there=st.floats(0.1, 0.8), below=st.floats(0.5, 6), above=st.floats(0.5, 2)
)
NOTHING = np.array([10.0, 0.0, 0.0, 0.0], dtype=np.float32)


def said(*finds: tuple[int, int, float]) -> tuple[Floats, Floats]:
    """Head outputs that find nothing but (anchor, class, logit); the boxes are the anchors."""
    logits = np.tile(NOTHING, (len(ANCHORS), 1))
    for anchor, class_id, logit in finds:
        logits[anchor] = [0.0, 0.0, 0.0, 0.0]
        logits[anchor, class_id] = logit
    return logits, np.zeros((len(ANCHORS), 4), dtype=np.float32)


def test_a_net_without_default_boxes_finds_nothing() -> None:
    empty = np.zeros((0, 4), dtype=np.float32)
    assert postprocess(empty, empty, empty, thresholds=HALF) == []


def test_a_picture_of_background_shows_nothing() -> None:
    assert postprocess(*said(), ANCHORS, thresholds=HALF) == []


def test_a_find_has_its_name_its_softmax_score_and_its_box() -> None:
    (found,) = postprocess(*said((700, 3, 5.0)), ANCHORS, thresholds=HALF)
    assert found.behaviour == "sleeping"
    assert found.score == pytest.approx(np.exp(5) / (np.exp(5) + 3), rel=1e-6)
    assert found.box_xyxy == pytest.approx(tuple(cxcywh_to_xyxy(ANCHORS[700]).tolist()))


def test_thresholds_are_each_behaviours_own_and_reaching_one_is_enough() -> None:
    outputs = said((700, 1, 2.0), (1500, 2, 2.0))
    just, above = softmax(outputs[0])[700, 1], np.nextafter(softmax(outputs[0])[1500, 2], np.float32(1))
    strict = {"hand-raising": float(just), "stand-up": float(above), "sleeping": 1.0}
    assert [found.behaviour for found in postprocess(*outputs, ANCHORS, thresholds=strict)] == ["hand-raising"]


def test_of_two_boxes_on_one_pupil_the_better_stays() -> None:
    logits, offsets = said((700, 1, 4.0), (701, 1, 6.0))
    offsets[701] = encode(cxcywh_to_xyxy(ANCHORS[700:701]), ANCHORS[701:702])[0]  # the same place
    (found,) = postprocess(logits, offsets, ANCHORS, thresholds=HALF)
    assert found.score == pytest.approx(np.exp(6) / (np.exp(6) + 3), rel=1e-6)


def test_boxes_of_two_behaviours_at_one_place_both_stay() -> None:
    logits, offsets = said((700, 1, 4.0), (701, 2, 6.0))
    offsets[701] = encode(cxcywh_to_xyxy(ANCHORS[700:701]), ANCHORS[701:702])[0]
    found = postprocess(logits, offsets, ANCHORS, thresholds=HALF)
    assert [one.behaviour for one in found] == ["stand-up", "hand-raising"]


def test_boxes_are_cut_at_the_edge_of_the_picture_and_dropped_outside_it() -> None:
    logits, offsets = said((0, 1, 9.0), (700, 2, 9.0))
    offsets[0] = encode(np.array([[-0.1, -0.1, 0.2, 0.3]]), ANCHORS[:1])[0]
    offsets[700] = encode(np.array([[1.1, 0.2, 1.4, 0.5]]), ANCHORS[700:701])[0]
    (found,) = postprocess(logits, offsets, ANCHORS, thresholds=HALF)
    assert found.box_xyxy == pytest.approx((0.0, 0.0, 0.2, 0.3), abs=1e-6)


def test_no_more_than_top_k_are_reported_and_they_are_the_best() -> None:
    places = range(0, 1200, 60)
    outputs = said(*((place, 1, 3.0 + place / 1000) for place in places))
    every = postprocess(*outputs, ANCHORS, thresholds=HALF)
    assert [one.score for one in every] == sorted((one.score for one in every), reverse=True)
    assert postprocess(*outputs, ANCHORS, thresholds=HALF, top_k=3) == every[:3]


def test_an_unpublished_behaviour_is_never_found_however_sure_and_takes_its_share_of_the_scores() -> None:
    logits, offsets = said((700, 2, 200.0), (1500, 1, 4.0))
    logits[1500, 2] = 4.0
    low = dict.fromkeys(BEHAVIOURS, 1e-6)
    found = postprocess(logits, offsets, ANCHORS, thresholds=low, unpublished=("stand-up",))
    assert {one.behaviour for one in found} == {"hand-raising", "sleeping"}
    assert found[0].score == pytest.approx(np.exp(4) / (2 * np.exp(4) + 2), rel=1e-6)


def test_the_unpublished_crowd_out_no_candidate() -> None:
    many = [(place, 2, 9.0) for place in range(MOST_CANDIDATES)]
    outputs = said(*many, (1500, 1, 4.0))
    (found,) = postprocess(*outputs, ANCHORS, thresholds=HALF, unpublished=("stand-up",))
    assert found.behaviour == "hand-raising"


def test_a_calibrated_score_is_told_and_is_what_thresholds_and_places_in_the_list_go_by() -> None:
    outputs = said((700, 1, 2.0), (1500, 2, 1.5))
    hand, stand = postprocess(*outputs, ANCHORS, thresholds=HALF)
    assert [hand.behaviour, stand.behaviour] == list(BEHAVIOURS[:2])
    curves = {"stand-up": ScoreCurve(bend=0.5, there=0.9, below=1.0, above=1.0)}
    surer, other = postprocess(*outputs, ANCHORS, thresholds=HALF, curves=curves)
    assert other == hand
    means = 1 / (1 + (1 - stand.score) / stand.score / 9)
    assert (surer.behaviour, surer.box_xyxy) == ("stand-up", stand.box_xyxy)
    assert surer.score == pytest.approx(means, rel=1e-5)
    for threshold, count in ((means - 1e-4, 1), (means + 1e-4, 0)):
        only = dict.fromkeys(BEHAVIOURS, 1.0) | {"stand-up": threshold}
        assert len(postprocess(*outputs, ANCHORS, thresholds=only, curves=curves)) == count


def plainly(
    logits: Floats,
    offsets: Floats,
    thresholds: dict[str, float],
    nms_iou: float,
    curves: dict[str, ScoreCurve] | None = None,
) -> list[Detection]:
    """The slow and obvious way: softmax, calibrate and decode everything, then go through each class from the best on."""
    scores, boxes = softmax(logits), decode(offsets, ANCHORS).clip(0, 1)
    for behaviour, curve in (curves or {}).items():
        class_id = BEHAVIOURS.index(behaviour) + 1
        scores[:, class_id] = curve.calibrated(scores[:, class_id])
    found: list[tuple[float, int, Detection]] = []
    for class_id, (behaviour, threshold) in enumerate(thresholds.items(), start=1):
        order = sorted(range(len(scores)), key=lambda a: (-scores[a, class_id], a))
        kept: list[int] = []
        for a in order:
            has_area = (boxes[a, 2:] > boxes[a, :2]).all()
            if scores[a, class_id] < np.float32(threshold) or not has_area:
                continue
            if kept and iou_matrix(boxes[[a]], boxes[kept]).max() > nms_iou:
                continue
            kept.append(a)
            score = float(scores[a, class_id])
            box = boxes[a].tolist()
            found.append((-score, a, Detection(behaviour, score, (box[0], box[1], box[2], box[3]))))
    return [one for _, _, one in sorted(found, key=lambda t: (t[0], t[1], BEHAVIOURS.index(t[2].behaviour)))]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    spread=st.floats(0.5, 6.0),
    background=st.floats(-1.0, 9.0),
    thresholds=st.tuples(*[st.floats(0.2, 0.95)] * 3),
    nms_iou=st.sampled_from([0.3, 0.45, 0.6]),
    curves=st.fixed_dictionaries({}, optional=dict.fromkeys(BEHAVIOURS, CURVES)),
)
def test_thresholding_logits_first_finds_the_same_as_the_plain_way(
    seed: int,
    spread: float,
    background: float,
    thresholds: tuple[float, float, float],
    nms_iou: float,
    curves: dict[str, ScoreCurve],
) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, spread, (len(ANCHORS), 4)).astype(np.float32)
    logits[:, 0] += background
    offsets = random.normal(0, 1, (len(ANCHORS), 4)).astype(np.float32)
    named = dict(zip(BEHAVIOURS, thresholds, strict=True))
    scores = softmax(logits)[:, 1:]
    for place, behaviour in enumerate(BEHAVIOURS):
        if behaviour in curves:
            scores[:, place] = curves[behaviour].calibrated(scores[:, place])
    assume((scores >= np.array(thresholds, dtype=np.float32)).sum() <= MOST_CANDIDATES)
    expected = plainly(logits, offsets, named, nms_iou, curves)
    found = postprocess(logits, offsets, ANCHORS, thresholds=named, nms_iou=nms_iou, top_k=10**6, curves=curves)
    assert found == expected


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            ((9, 3), (9, 4), (9, 4)),
            r"logits_AK: shape \(9, 3\) is not \(default boxes, 4\): background and hand-raising",
        ),
        (((9, 4), (8, 4), (9, 4)), r"offsets_A4: shape \(8, 4\) is not \(9, 4\), one row for each row of logits"),
        (((9, 4), (9, 4), (7, 4)), r"anchors_cxcywh_A4: shape \(7, 4\) is not \(9, 4\)"),
    ],
)
def test_outputs_that_do_not_belong_together_are_refused(shapes: tuple[tuple[int, int], ...], message: str) -> None:
    logits, offsets, anchors = (np.zeros(shape, dtype=np.float32) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        postprocess(logits, offsets, anchors, thresholds=HALF)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"thresholds: stand-up = {threshold} is not a score above 0 and at most 1"):
        postprocess(*said(), ANCHORS, thresholds=HALF | {"stand-up": threshold})


def test_more_candidates_than_are_suppressed_at_once_end_as_in_the_plain_way() -> None:
    random = np.random.default_rng(7)
    logits = random.normal(0, 3, (len(ANCHORS), 4)).astype(np.float32)
    logits[:, 0] += 4
    offsets = random.normal(0, 1, (len(ANCHORS), 4)).astype(np.float32)
    crowd = int((softmax(logits)[:, 1:] >= 0.5).sum())
    assert 3 * 128 < crowd <= MOST_CANDIDATES
    expected = plainly(logits, offsets, HALF, 0.3)
    assert 128 < len(expected) < crowd
    assert postprocess(logits, offsets, ANCHORS, thresholds=HALF, nms_iou=0.3, top_k=10**6) == expected
    for top_k in (1, 127, 128, 129):
        assert postprocess(logits, offsets, ANCHORS, thresholds=HALF, nms_iou=0.3, top_k=top_k) == expected[:top_k]
