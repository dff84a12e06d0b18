from pathlib import Path

import pytest

from gesturedet.data.sources import Sources, names_in, read_listed, sources_of
from tests.model.gesturedet.voc_folder import annotation_xml, write_annotation, write_voc


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    says = "neither VOC2007/ImageSets/Main/trainval.txt nor ImageSets/Main/train.txt is there, expected a VOCdevkit"
    with pytest.raises(FileNotFoundError, match=says):
        sources_of(tmp_path)


def test_a_vocdevkit_trains_on_both_years_and_chooses_nothing_on_its_test_pictures(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        write_voc(tmp_path / year, {year: []}, split="trainval")
        write_voc(tmp_path / year, {f"{year}t": []}, split="test")

    assert sources_of(tmp_path) == Sources(
        train=((tmp_path / "VOC2007", "trainval"), (tmp_path / "VOC2012", "trainval")),
        test=((tmp_path / "VOC2007", "test"),),
        official=True,
    )


def test_a_part_of_a_vocdevkit_is_taken_as_far_as_it_is_there(tmp_path: Path) -> None:
    write_voc(tmp_path / "VOC2012", {"a": []}, split="trainval")

    assert sources_of(tmp_path) == Sources(train=((tmp_path / "VOC2012", "trainval"),), official=True)


def test_somebody_elses_folder_has_the_lists_that_it_has(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": []})
    assert sources_of(tmp_path) == Sources(train=((tmp_path, "train"),))
    for split in ("val", "test"):
        write_voc(tmp_path, {split: []}, split=split)
    assert sources_of(tmp_path) == Sources(((tmp_path, "train"),), ((tmp_path, "val"),), ((tmp_path, "test"),))


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    write_voc(tmp_path, {})

    assert read_listed((), ()) == ()
    with pytest.raises(ValueError, match=r"pictures: split 'train' of .* names no picture, expected at least one"):
        read_listed(((tmp_path, "train"),), ())


def test_classes_are_all_names_of_objects_and_not_of_their_parts(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": [("pen", (1, 1, 9, 9)), ("cup", (1, 1, 9, 9))], "b": [("pen", (1, 1, 9, 9))], "c": []})
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    part = f"<object><name>person</name>{box}<part><name>head</name>{box}</part></object>"
    write_annotation(tmp_path, "c", annotation_xml("c", (90, 160), part))

    assert names_in(((tmp_path, "train"),)) == ("cup", "pen", "person")
    assert [len(one.truth) for one in read_listed(((tmp_path, "train"),), ("cup", "pen", "person"))] == [2, 1, 1]


def test_pictures_on_which_nothing_has_a_name_give_no_classes(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": []})

    with pytest.raises(ValueError, match=r"labels: no object in .* has a name, expected some"):
        names_in(((tmp_path, "train"),))
