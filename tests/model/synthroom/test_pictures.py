"""Pictures as files, from hand-made stills; nothing is drawn."""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from synthroom.labels import Label
from synthroom.pictures import ADULT, DataSet, Still, _by_size, annotation, write_stills


def still(*labels: Label, adults: tuple[tuple[int, int, int, int], ...] = (), unsure: tuple[Label, ...] = ()) -> Still:
    return Still(np.zeros((60, 100, 3), np.uint8), labels, adults, 90, unsure)


def objects(shown: Still) -> list[dict[str, str]]:
    """Every object's fields, its box's among them."""
    items = ET.fromstring(annotation("x", shown)).iter("object")
    return [{leaf.tag: leaf.text or "" for leaf in item.iter() if len(leaf) == 0} for item in items]


def test_a_picture_in_which_nobody_does_anything_has_no_objects() -> None:
    assert objects(still()) == []


def test_a_box_is_written_from_one_and_inclusive() -> None:
    (told,) = objects(still(Label("sleeping", 1, (10, 20, 40, 50), 1.0)))
    assert [told[key] for key in ("xmin", "ymin", "xmax", "ymax")] == ["11", "21", "40", "50"]


def test_teachers_are_adults_whatever_they_do_and_come_behind_the_pupils() -> None:
    told = objects(still(Label("stand-up", 1, (0, 0, 9, 9), 1.0), adults=((30, 0, 60, 60),)))
    assert [one["name"] for one in told] == ["stand-up", ADULT]
    assert told[1]["difficult"] == "0"


def test_what_is_unsure_is_difficult_and_the_rest_is_not() -> None:
    told = objects(
        still(Label("sleeping", 1, (10, 20, 40, 50), 1.0), unsure=(Label("sleeping", 2, (1, 1, 9, 9), 1.0),))
    )
    assert [one["difficult"] for one in told] == ["0", "1"]


@pytest.mark.parametrize(
    ("box", "visible", "truncated", "occluded"),
    [
        ((10, 20, 40, 50), 0.9, "0", "0"),
        ((10, 20, 40, 50), 0.7, "0", "1"),
        ((0, 20, 40, 50), 0.9, "1", "0"),
        ((10, 0, 40, 50), 0.9, "1", "0"),
        ((10, 20, 100, 50), 0.9, "1", "0"),
        ((10, 20, 40, 60), 0.9, "1", "0"),
    ],
)
def test_what_the_picture_cuts_is_truncated_and_what_hides_is_occluded(
    box: tuple[int, int, int, int], visible: float, truncated: str, occluded: str
) -> None:
    (told,) = objects(still(Label("sleeping", 1, box, visible)))
    assert (told["truncated"], told["occluded"]) == (truncated, occluded)


def test_labels_larger_than_a_world_wants_are_set_apart() -> None:
    at, above = Label("sleeping", 1, (0, 0, 40, 10), 1.0), Label("sleeping", 2, (0, 0, 10, 41), 1.0)
    assert _by_size([], 40) == ((), ())
    assert _by_size([at, above], 40) == ((at,), (above,))
    assert _by_size([at, above], None) == ((at, above), ())


@pytest.mark.parametrize("file", ["JPEGImages/train_000000_1.jpg", "Annotations/train_000000_1.xml"])
def test_a_group_with_a_damaged_or_missing_file_is_drawn_again(tmp_path: Path, file: str) -> None:
    data = DataSet(tmp_path, "train")
    data.add(write_stills(tmp_path, "train", 0, 10_000_000, [still(), still(), still()]))
    data.save()
    assert DataSet(tmp_path, "train").missing(3) == []
    path = tmp_path / file
    if path.suffix == ".jpg":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    assert DataSet(tmp_path, "train").missing(3) == [0]
