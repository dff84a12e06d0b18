from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gesturedet.data import voc
from gesturedet.data.coco import read_split
from gesturedet.data.sources import Sources, hold_apart, names_in, read_list, read_listed, sources_of
from gesturedet.data.voc import LabelledPicture, read_pixels
from gesturedet.labels import BEHAVIOURS
from tests.model.gesturedet.coco_folder import instances, write_coco, write_json
from tests.model.gesturedet.voc_folder import Thing, write_voc

FILE = "annotations/instances_train.json"
THINGS: dict[str, list[Thing]] = {
    "a": [("stand-up", (41, 10, 80, 90)), ("sleeping", (1, 1, 160, 90)), ("adult", (5, 5, 9, 9))],
    "b": [],
    "c": [("hand-raising", (3, 7, 20, 31))],
}


def as_jpegs(things: dict[str, list[Thing]]) -> dict[str, list[Thing]]:
    return {f"{name}.jpg": told for name, told in things.items()}


def one_told(**changes: object) -> dict[str, Any]:
    """One picture with one sleeper, of whom something else is told."""
    told = instances({"a.jpg": [("sleeping", (1, 1, 40, 45))]})
    told["annotations"][0] |= changes
    return told


def read_told(root: Path, told: object) -> LabelledPicture:
    write_coco(root, {"a.jpg": []})
    write_json(root / FILE, told)
    (picture,) = read_split(root, "train")
    return picture


def test_a_file_without_pictures_has_none(tmp_path: Path) -> None:
    assert read_split(write_coco(tmp_path, {}), "train") == ()


@pytest.mark.parametrize("labels", [BEHAVIOURS, (*BEHAVIOURS, "adult"), ("adult", *BEHAVIOURS)])
def test_the_same_truth_told_as_voc_and_as_coco_is_the_same(tmp_path: Path, labels: tuple[str, ...]) -> None:
    as_voc = voc.read_split(write_voc(tmp_path / "voc", THINGS), "train", labels=labels)
    as_coco = read_split(write_coco(tmp_path / "coco", as_jpegs(THINGS)), "train", labels=labels)

    assert len(as_coco) == len(as_voc) == 3
    for one, other in zip(as_voc, as_coco, strict=True):
        assert (one.name, one.size_hw, one.group) == (other.name, other.size_hw, other.group)
        np.testing.assert_allclose(one.truth.boxes_xyxy, other.truth.boxes_xyxy, atol=1e-6)
        assert one.truth.boxes_xyxy.dtype == other.truth.boxes_xyxy.dtype
        assert one.truth.class_ids.tolist() == other.truth.class_ids.tolist()
        assert one.truth.ignored.tolist() == other.truth.ignored.tolist()
        assert read_pixels(other).shape == (90, 160, 3)


@pytest.mark.parametrize(
    ("changes", "ignored"),
    [
        ({"iscrowd": 1}, True),
        ({"attributes": {"difficult": True, "occluded": False, "rotation": 0.0}}, True),
        ({"attributes": {"difficult": False, "occluded": True, "mood": "?"}}, False),
        ({}, False),
    ],
)
def test_crowds_and_difficult_objects_are_ignored_and_hidden_ones_are_not(
    tmp_path: Path, changes: dict[str, object], ignored: bool
) -> None:
    assert read_told(tmp_path, one_told(**changes)).truth.ignored.tolist() == [ignored]


@pytest.mark.parametrize(
    ("bbox", "box"),
    [
        ([-16, -9, 32, 18], [0.0, 0.0, 0.1, 0.1]),
        ([144, 81, 32, 18], [0.9, 0.9, 1.0, 1.0]),
        ([0.5, 0, 15.5, 9], [0.5 / 160, 0.0, 0.1, 0.1]),
    ],
)
def test_boxes_are_fractions_and_cut_at_the_edges(tmp_path: Path, bbox: list[float], box: list[float]) -> None:
    picture = read_told(tmp_path, one_told(bbox=bbox))

    np.testing.assert_allclose(picture.truth.boxes_xyxy, [box], atol=1e-6)


@pytest.mark.parametrize(
    ("file", "where", "said", "name", "group"),
    [
        (FILE, "images", "a.jpg", "a", "a"),
        (FILE, "images/train", "a.jpg", "a", "a"),
        (FILE, "images/train", "room-3/a.jpg", "room-3/a", "room-3"),
        (FILE, "", "images/train/room-3/a.jpg", "room-3/a", "room-3"),
        (FILE, "annotations", "a.b.jpg", "a.b", "a.b"),
        ("annotations/instances_default.json", "images/default", "school/room-3/a.png", "school/room-3/a", "school/room-3"),
        ("annotations/instances_default.json", "", "a.jpg", "a", "a"),
        ("result.json", "", "images/0f-a.jpg", "0f-a", "0f-a"),
    ],
)  # fmt: skip
def test_pictures_are_found_where_exports_put_them_and_grouped_by_their_folder(
    tmp_path: Path, file: str, where: str, said: str, name: str, group: str
) -> None:
    (picture,) = read_split(write_coco(tmp_path, {said: []}, file=file, where=where), "train")

    assert (picture.name, picture.group, picture.path) == (name, group, tmp_path / where / said)


def without(told: dict[str, Any], what: str, key: str) -> dict[str, Any]:
    del told[what][0][key]
    return told


def changed(what: str, **changes: object) -> dict[str, Any]:
    told = one_told()
    told[what][0] |= changes
    return told


def doubled(what: str, **changes: object) -> dict[str, Any]:
    told = one_told()
    told[what].append(told[what][0] | changes)
    return told


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([], r"Expected `object`, got `array`, expected COCO's categories, images and annotations"),
        ({"images": [], "annotations": []}, r"missing required field `categories`"),
        (without(one_told(), "images", "width"), r"missing required field `width` - at `\$\.images\[0\]`"),
        (changed("images", height="90"), r"Expected `int`, got `str` - at `\$\.images\[0\]\.height`, expected COCO's"),
        (changed("images", height=0), r"image 7: size 160x0 has no pixels, expected width and height above 0"),
        (changed("images", width=-160), r"image 7: size -160x90 has no pixels"),
        (doubled("images"), r"images: id 7 is told more than once, expected each id once"),
        (doubled("images", id=8), r"file_name 'a\.jpg' is a second picture 'a', expected each name once"),
        (doubled("images", id=8, file_name="images/a.jpg"), r"file_name 'images/a\.jpg' is a second picture 'a'"),
        (doubled("categories"), r"categories: id 50 is told more than once, expected each id once"),
        (changed("images", file_name="b.jpg"), r"file_name 'b\.jpg' is no file in .*/images/train, .*/images, "),
        (changed("images", file_name=""), r"file_name '' is no file in"),
        (changed("images", file_name="../a.jpg"), r"file_name '\.\./a\.jpg' leads out of the folder, expected a picture in"),
        (changed("images", file_name="x/../../a.jpg"), r"leads out of the folder"),
        (changed("images", file_name="/etc/a.jpg"), r"file_name '/etc/a\.jpg' leads out of the folder"),
        (one_told(image_id=9), r"annotation 1: image_id 9 is no picture, expected one of images"),
        (one_told(category_id=3), r"annotation 1: category_id 3 is no category, expected one of categories"),
        (one_told(bbox=None), r"annotation 1: bbox is absent, expected x, y, width and height; an outline alone"),
        (without(one_told(), "annotations", "bbox"), r"annotation 1: bbox is absent"),
        (one_told(bbox=[]), r"Expected `array` of length 4 - at `\$\.annotations\[0\]\.bbox`"),
        (one_told(bbox=[1, 1, 0, 5]), r"annotation 1: bbox 1,1,0,5 has no area, expected width and height above 0"),
        (one_told(bbox=[9, 9, -4, 5]), r"annotation 1: bbox 9,9,-4,5 has no area"),
        (
            one_told(bbox=[170, 1, 9, 5]),
            r"annotation 1: bbox 170,1,9,5 lies outside the picture, expected some of it in 0\.\.160, 0\.\.90",
        ),
        (one_told(attributes={"rotation": 12.5}), r"annotation 1: rotation is 12\.5, expected an upright box"),
        (one_told(attributes={"difficult": "no"}), r"Expected `bool`, got `str` - at `\$\.annotations.*difficult`"),
        (one_told(iscrowd=2), r"Invalid enum value 2 - at `\$\.annotations\[0\]\.iscrowd`"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_by_key_value_and_expectation(tmp_path: Path, told: object, says: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=rf"instances_train\.json: .*{says}"):
        read_told(tmp_path, told)


def test_a_name_that_is_no_label_is_refused(tmp_path: Path) -> None:
    says = r"instances_train\.json: annotation 1: category name 'sleeping' is none of stand-up, adult"
    with pytest.raises(ValueError, match=says):
        read_split(write_coco(tmp_path, as_jpegs({"a": THINGS["a"][1:]})), "train", labels=("stand-up", "adult"))


@pytest.mark.parametrize("content", [b"", b"{", b'{"images": "\xff"}'])
def test_what_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    write_coco(tmp_path, {})
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(
        ValueError, match=r"instances_train\.json: .*expected COCO's categories, images and annotations"
    ):
        read_split(tmp_path, "train")


def test_lists_are_those_that_have_a_file(tmp_path: Path) -> None:
    write_coco(tmp_path, {"a.jpg": []})
    with pytest.raises(
        FileNotFoundError, match=r"instances_val\.json: no such annotations for split 'val', expected them"
    ):
        read_split(tmp_path, "val")
    assert sources_of(tmp_path) == Sources(train=((tmp_path, "train"),))

    write_coco(tmp_path, {"b.jpg": [], "c.jpg": []}, file="annotations/instances_val.json")
    assert sources_of(tmp_path) == Sources(((tmp_path, "train"),), ((tmp_path, "val"),))
    assert [one.name for one in read_listed(((tmp_path, "train"), (tmp_path, "val")), BEHAVIOURS)] == ["a", "b", "c"]
    hold_apart(sources_of(tmp_path))


@pytest.mark.parametrize("file", ["annotations/instances_default.json", "result.json"])
def test_pictures_in_no_list_are_for_one_use_only(tmp_path: Path, file: str) -> None:
    write_coco(tmp_path, {"a.jpg": []}, file=file)
    assert [one.name for one in read_list(tmp_path, "test", BEHAVIOURS)] == ["a"]
    assert sources_of(tmp_path) == Sources(train=((tmp_path, "train"),))

    hold_apart(Sources(((tmp_path, "train"), (tmp_path, "train"))))
    with pytest.raises(
        ValueError, match=r"val: .* has one list of pictures, which is for train, expected another folder"
    ):
        hold_apart(Sources(((tmp_path, "train"),), ((tmp_path, "val"),)))

    write_coco(tmp_path, {"b.jpg": []})
    with pytest.raises(FileNotFoundError, match=r"no such annotations for split 'test'"):
        read_list(tmp_path, "test", BEHAVIOURS)


def test_a_folder_with_vocs_lists_is_vocs(tmp_path: Path) -> None:
    write_voc(tmp_path, THINGS)
    write_json(tmp_path / "result.json", {})

    assert [one.name for one in read_list(tmp_path, "train", BEHAVIOURS)] == ["a", "b", "c"]


def test_classes_are_the_names_of_objects_and_not_all_categories(tmp_path: Path) -> None:
    write_coco(tmp_path, as_jpegs(THINGS | {"a": THINGS["a"][:1]}))

    assert names_in(((tmp_path, "train"),)) == ("hand-raising", "stand-up")
