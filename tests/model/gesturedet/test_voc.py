import json
import os
import tarfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from gesturedet.data.voc import LabelledPicture, is_cut_short, read_pixels, read_split, readable
from gesturedet.evaluation import JudgedPicture, average_precision, rank
from gesturedet.labels import BEHAVIOURS
from tests.model.gesturedet.voc_folder import annotation_xml, object_xml, write_annotation, write_voc
from tests.support import ROOT, require

SHARED = Path(os.environ.get("CLASSPULSE_SHARED", ROOT.parent / "shared"))
BCCD = SHARED / "data" / "bccd-voc.tar"
BCCD_LABELS = ("WBC", "RBC", "Platelets")


def test_an_empty_split_has_no_pictures(tmp_path: Path) -> None:
    write_voc(tmp_path, {})

    assert read_split(tmp_path, "train") == ()


def test_a_picture_without_objects_is_kept_as_a_negative(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": []})

    (picture,) = read_split(tmp_path, "train")

    assert len(picture.truth) == 0
    assert picture.truth.boxes_xyxy.shape == (0, 4)


def test_inclusive_pixels_from_one_become_fractions(tmp_path: Path) -> None:
    # Columns 41 to 80 of 160 are a quarter to a half; rows 10 to 90 of 90 are a tenth to the end.
    write_voc(tmp_path, {"a": [("stand-up", (41, 10, 80, 90)), ("sleeping", (1, 1, 160, 90))]})

    (picture,) = read_split(tmp_path, "train")

    expected = np.array([[0.25, 0.1, 0.5, 1.0], [0.0, 0.0, 1.0, 1.0]])
    np.testing.assert_allclose(picture.truth.boxes_xyxy, expected, atol=1e-6)
    assert picture.truth.class_ids.tolist() == [2, 3]
    assert picture.truth.ignored.tolist() == [False, False]
    assert picture.size_hw == (90, 160)


def test_difficult_objects_are_ignored_and_unlabelled_ones_left_out(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": []})
    objects = object_xml("sleeping", (1, 1, 9, 9), difficult=1) + object_xml("teacher", (1, 1, 9, 9))
    write_annotation(tmp_path, "a", annotation_xml("a", (90, 160), objects))

    (picture,) = read_split(tmp_path, "train", unlabelled=frozenset({"teacher"}))

    assert picture.truth.class_ids.tolist() == [3]
    assert picture.truth.ignored.tolist() == [True]


def test_adults_are_left_out_unless_they_are_a_class(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": [("adult", (1, 1, 9, 9)), ("sleeping", (1, 1, 9, 9))]})

    (without,) = read_split(tmp_path, "train")
    (as_class,) = read_split(tmp_path, "train", labels=(*BEHAVIOURS, "adult"))

    assert without.truth.class_ids.tolist() == [3]
    assert as_class.truth.class_ids.tolist() == [4, 3]


def test_boxes_of_writers_that_count_from_zero_are_clipped(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": []})
    write_annotation(tmp_path, "a", annotation_xml("a", (90, 160), object_xml("sleeping", (0, 0, 161, 91))))

    (picture,) = read_split(tmp_path, "train")

    assert picture.truth.boxes_xyxy.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_pictures_belong_to_their_rooms_or_stand_alone(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": [], "b": [], "c": []})
    pictures = [{"name": "a", "seed": 7}, {"name": "b", "seed": 7}]
    (tmp_path / "manifest.json").write_text(json.dumps({"pictures": pictures}), "utf-8")

    assert [picture.group for picture in read_split(tmp_path, "train")] == ["7", "7", "c"]


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        ("<annotation", r"a\.xml: not readable XML .*expected a VOC annotation"),
        ("<annotation/>", r"a\.xml: size/height is None, expected a number"),
        (annotation_xml("a", (0, 160), ""), r"a\.xml: size 160x0 has no pixels, expected width and height above 0"),
        (annotation_xml("a", ("tall", 160), ""), r"a\.xml: size/height is 'tall', expected a number"),
        (annotation_xml("b", (90, 160), ""), r"a\.xml: filename 'b\.jpg' is no file in .*JPEGImages"),
        (
            annotation_xml("a", (90, 160), object_xml("yawning", (1, 1, 5, 5))),
            r"a\.xml: object name 'yawning' is none of hand-raising, stand-up, sleeping",
        ),
        (
            annotation_xml("a", (90, 160), object_xml("sleeping", (1, "x", 5, 5))),
            r"a\.xml: bndbox/ymin is 'x', expected a number",
        ),
        (
            annotation_xml("a", (90, 160), object_xml("sleeping", (9, 1, 5, 5))),
            r"a\.xml: bndbox 9,1,5,5 is inside out, expected xmin ≤ xmax, ymin ≤ ymax",
        ),
        (
            annotation_xml("a", (90, 160), object_xml("sleeping", (170, 1, 180, 5))),
            r"a\.xml: bndbox 170,1,180,5 lies outside the picture, expected 1\.\.160, 1\.\.90",
        ),
    ],
)
def test_a_wrong_annotation_is_refused_by_file_key_value_and_expectation(tmp_path: Path, xml: str, says: str) -> None:
    write_voc(tmp_path, {"a": []})
    write_annotation(tmp_path, "a", xml)

    with pytest.raises((ValueError, FileNotFoundError), match=says):
        read_split(tmp_path, "train")


def test_a_missing_list_or_annotation_is_named(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": []})
    (tmp_path / "Annotations" / "a.xml").unlink()

    with pytest.raises(FileNotFoundError, match=r"val\.txt: no such list of pictures for split 'val'"):
        read_split(tmp_path, "val")
    with pytest.raises(FileNotFoundError, match=r"a\.xml: no such annotation for listed picture 'a'"):
        read_split(tmp_path, "train")


def test_a_picture_listed_twice_is_refused(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": []})
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\na\n", "utf-8")

    with pytest.raises(ValueError, match=r"train\.txt: picture 'a' is listed more than once"):
        read_split(tmp_path, "train")


@pytest.mark.parametrize("text", ["[1]", "{}", '{"pictures": [{"name": "a"}]}', "no JSON"])
def test_a_manifest_without_rooms_is_refused(tmp_path: Path, text: str) -> None:
    write_voc(tmp_path, {"a": []})
    (tmp_path / "manifest.json").write_text(text, "utf-8")

    with pytest.raises(ValueError, match=r"manifest\.json: .*, expected pictures with name and seed"):
        read_split(tmp_path, "train")


def picture_of(tmp_path: Path, size_hw: tuple[int, int]) -> LabelledPicture:
    write_voc(tmp_path, {"a": [("stand-up", (1, 1, 40, 40))]}, size_hw=size_hw)
    return read_split(tmp_path, "train")[0]


def test_pixels_are_rgb(tmp_path: Path) -> None:
    picture = picture_of(tmp_path, (90, 160))
    red = np.zeros((90, 160, 3), dtype=np.uint8)
    red[..., 2] = 255  # OpenCV writes blue first
    cv2.imwrite(str(picture.path), red)

    assert read_pixels(picture)[45, 80, 0] > 200
    assert read_pixels(picture)[45, 80, 2] < 50


@pytest.mark.parametrize(
    ("at_least_hw", "decoded_hw"),
    [
        (None, (360, 640)),
        ((192, 320), (360, 640)),
        ((180, 320), (180, 320)),
        ((90, 160), (90, 160)),
        ((9, 9), (90, 160)),
    ],
)
def test_a_jpeg_is_decoded_no_larger_than_needed(
    tmp_path: Path, at_least_hw: tuple[int, int] | None, decoded_hw: tuple[int, int]
) -> None:
    picture = picture_of(tmp_path, (360, 640))

    assert read_pixels(picture, at_least_hw=at_least_hw).shape == (*decoded_hw, 3)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    picture = picture_of(tmp_path, (90, 160))
    picture.path.write_bytes(content)

    with pytest.raises(ValueError, match=rf"a\.jpg: {len(content)} bytes are not a readable picture, expected a whole"):
        read_pixels(picture)


def test_a_jpeg_that_ends_too_early_is_not_read_as_half_grey(tmp_path: Path) -> None:
    picture = picture_of(tmp_path, (360, 640))
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    cv2.imwrite(str(picture.path), noise)
    whole = picture.path.read_bytes()
    picture.path.write_bytes(whole + b"a camera's trailing note")
    assert read_pixels(picture).shape == (360, 640, 3)

    assert not is_cut_short(whole + b"a camera's trailing note")
    assert is_cut_short(whole[: len(whole) // 2])
    assert not is_cut_short(b"")
    picture.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.jpg: \d+ bytes are not a readable picture, expected a whole JPEG"):
        read_pixels(picture)


def test_pictures_that_cannot_be_read_are_told_apart(tmp_path: Path) -> None:
    pictures = read_split(write_voc(tmp_path, {"a": [], "b": [], "c": []}), "train")
    pictures[0].path.write_bytes(b"no picture")
    pictures[2].path.unlink()

    assert readable(()) == ((), ())
    assert readable(pictures) == ((pictures[1],), ("a", "c"))


def test_somebody_elses_voc_files_are_read_and_judged(tmp_path: Path) -> None:
    require("shared-data", BCCD.is_file(), f"{BCCD} holds the BCCD pictures")
    with tarfile.open(BCCD) as archive:
        archive.extractall(tmp_path, filter="data")

    pictures = [
        picture
        for split in ("train", "val", "test")
        for picture in read_split(tmp_path / "BCCD", split, labels=BCCD_LABELS)
    ]

    counts = Counter(int(value) for picture in pictures for value in picture.truth.class_ids)
    assert len(pictures) == 364
    assert sum(counts.values()) == 4888
    assert read_pixels(pictures[0]).shape == (*pictures[0].size_hw, 3)
    perfect = [_told(picture) for picture in pictures]
    assert average_precision(rank(perfect, 2, least_iou=0.5)) > 0.99


def _told(picture: LabelledPicture) -> JudgedPicture:
    """Give the truth itself as detections; a few cells are marked twice, so the result is just below 1."""
    truth = picture.truth
    scores = np.linspace(1.0, 0.5, max(len(truth), 1), dtype=np.float32)[: len(truth)]
    return JudgedPicture(
        picture.group, truth.boxes_xyxy, truth.class_ids, truth.ignored, truth.boxes_xyxy, truth.class_ids, scores
    )
