"""A folder → which lists of pictures train and which examine: the official VOC layout, and anybody's own VOC or COCO files."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gesturedet.data import coco, voc
from gesturedet.data.voc import LabelledPicture, listed_names

VOC_CLASSES: tuple[str, ...] = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The twenty classes of PASCAL VOC 2007 to 2012, in their usual order, the alphabet's."""

Listed = tuple[Path, str]
"""A folder in VOC or COCO layout and the name of one of its lists."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where pictures come from. `val`: judged after every epoch, to choose the best; `test`: judged once, at the end.

    `official`: PASCAL VOC as its organisers pack it, with `VOC_CLASSES`.
    """

    train: tuple[Listed, ...]
    val: tuple[Listed, ...] = ()
    test: tuple[Listed, ...] = ()
    official: bool = False


def sources_of(folder: Path) -> Sources:
    """Say what a folder offers.

    A VOCdevkit, as the organisers pack it, trains on the trainval lists of VOC2007 and VOC2012 (of those that are there) and
    is examined on VOC2007's test list; nothing is chosen on that list, so there is no `val`. Any other folder has a list train
    and maybe lists val and test of its own; COCO pictures that are in no list all train. Raises FileNotFoundError for a folder
    that is neither.
    """
    years = [folder / year for year in ("VOC2007", "VOC2012") if _has(folder / year, "trainval")]
    if years:
        test = ((folder / "VOC2007", "test"),) if _has(folder / "VOC2007", "test") else ()
        return Sources(tuple((year, "trainval") for year in years), test=test, official=True)
    if not (_has(folder, "train") or _is_whole(folder)):
        raise FileNotFoundError(
            f"{folder}: neither VOC2007/ImageSets/Main/trainval.txt nor ImageSets/Main/train.txt is there, "
            "expected a VOCdevkit or a folder in VOC layout, or in COCO's: annotations/instances_train.json"
        )
    val, test = (((folder, split),) if _has(folder, split) else () for split in ("val", "test"))
    return Sources(((folder, "train"),), val, test)


def hold_apart(sources: Sources) -> None:
    """Raises ValueError where pictures that are in no list would be in two: they would examine what they have taught."""
    used: dict[Path, str] = {}
    for use in ("train", "val", "test"):
        for folder in {folder.resolve() for folder, _ in getattr(sources, use) if _is_whole(folder)}:
            if folder in used:
                raise ValueError(
                    f"{use}: {folder} has one list of pictures, which is for {used[folder]}, expected another folder"
                )
            used[folder] = use


def read_list(folder: Path, split: str, labels: Sequence[str]) -> tuple[LabelledPicture, ...]:
    """Read one list of a folder in VOC or COCO layout; see `voc.read_split` and `coco.read_split`."""
    if _is_coco(folder):
        return coco.read_split(folder, split, labels=labels)
    return voc.read_split(folder, split, labels=labels)


def read_listed(listed: Sequence[Listed], labels: Sequence[str]) -> tuple[LabelledPicture, ...]:
    """Read lists of pictures, taken together. Raises ValueError for a list without pictures, and as `read_list` does."""
    found: list[LabelledPicture] = []
    for folder, split in listed:
        pictures = read_list(folder, split, labels)
        if not pictures:
            raise ValueError(f"pictures: split {split!r} of {folder} names no picture, expected at least one")
        found += pictures
    return tuple(found)


def list_in(folder: Path, wanted: str) -> Listed:
    """The list of a folder that is meant: the one of this name, or the only one there is, as a set drawn for one use has."""
    lists = sorted(path.stem for path in (folder / "ImageSets" / "Main").glob("*.txt"))
    return folder, lists[0] if wanted not in lists and len(lists) == 1 else wanted


def names_in(listed: Sequence[Listed]) -> tuple[str, ...]:
    """Return the names of all objects of some lists, in the order of the alphabet: the classes of somebody's own files.

    Raises ValueError when there is none. VOC annotations that cannot be read are left to `read_list`, which names them.
    """
    names: set[str] = set()
    for folder, split in listed:
        if _is_coco(folder):
            names |= coco.names_in(folder, split)
            continue
        for picture in listed_names(folder, split):
            names |= _object_names(folder / "Annotations" / f"{picture}.xml")
    if not names:
        folders = ", ".join(str(folder) for folder, _ in listed)
        raise ValueError(f"labels: no object in {folders} has a name, expected some")
    return tuple(sorted(names))


def _has(folder: Path, split: str) -> bool:
    if _is_coco(folder):
        return (folder / "annotations" / f"instances_{split}.json").is_file()
    return (folder / "ImageSets" / "Main" / f"{split}.txt").is_file()


def _is_coco(folder: Path) -> bool:
    """Whether a folder holds COCO files and no lists of VOC's."""
    return not (folder / "ImageSets").is_dir() and bool(coco.annotation_files(folder))


def _is_whole(folder: Path) -> bool:
    """Whether a folder's pictures are in no list, so that any list is all of them."""
    return _is_coco(folder) and coco.only_file(folder) is not None


def _object_names(path: Path) -> set[str]:
    try:
        tree = ET.fromstring(path.read_bytes())  # noqa: S314 - labels are the trainer's own files
    except (OSError, ET.ParseError):
        return set()
    return {name for element in tree.findall("object") if (name := (element.findtext("name") or "").strip())}
