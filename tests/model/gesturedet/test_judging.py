from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gesturedet.data.voc import read_split
from gesturedet.judging import frame_hw, judge
from gesturedet.postprocess import Detection
from tests.model.gesturedet.voc_folder import write_voc


def test_no_pictures_are_judged_without_asking_the_detector() -> None:
    def detect(_picture: NDArray[np.uint8]) -> list[Detection]:
        raise AssertionError

    assert list(judge((), detect)) == []


def test_what_is_found_stands_beside_the_truth(tmp_path: Path) -> None:
    pictures = read_split(write_voc(tmp_path, {"a": [("sleeping", (1, 1, 80, 45))], "b": []}), "train")
    found = [[Detection("stand-up", 0.75, (0.0, 0.25, 0.5, 1.0))], []]

    first, second = judge(pictures, lambda _picture: found.pop(0))

    assert (first.group, second.group) == ("a", "b")
    assert first.truth_class_ids.tolist() == [3]
    assert first.class_ids.tolist() == [2]
    assert first.scores.tolist() == [0.75]
    assert first.boxes_xyxy.tolist() == [[0.0, 0.25, 0.5, 1.0]]
    assert second.boxes_xyxy.shape == (0, 4)


def test_the_detector_gets_pictures_as_opencv_decodes_them(tmp_path: Path) -> None:
    pictures = read_split(write_voc(tmp_path, {"a": []}, size_hw=(360, 640)), "train")
    red = np.zeros((360, 640, 3), dtype=np.uint8)
    red[..., 2] = 255
    cv2.imwrite(str(pictures[0].path), red)
    seen: list[NDArray[np.uint8]] = []

    def detect(picture: NDArray[np.uint8]) -> list[Detection]:
        seen.append(picture)
        return []

    list(judge(pictures, detect))
    list(judge(pictures, detect, at_least_hw=(100, 200)))

    assert seen[0].shape == (360, 640, 3)
    assert seen[1].shape == (180, 320, 3)
    assert all(picture[9, 9, 2] > 200 for picture in seen)
    assert all(picture[9, 9, 0] < 50 for picture in seen)


def test_an_unknown_behaviour_is_refused(tmp_path: Path) -> None:
    pictures = read_split(write_voc(tmp_path, {"a": []}), "train")

    with pytest.raises(ValueError, match="behaviour: 'yawning' is none of hand-raising, stand-up, sleeping"):
        list(judge(pictures, lambda _picture: [Detection("yawning", 0.5, (0.0, 0.0, 1.0, 1.0))]))


def test_frames_are_half_again_as_large_as_the_input() -> None:
    assert frame_hw((192, 320)) == (288, 480)
