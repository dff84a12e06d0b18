"""A folder → which lists of pictures train and which examine: the official VOC layout, and anybody's own VOC files."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gesturedet.data.voc import LabelledPicture, listed_names, read_split

VOC_CLASSES: tuple[str, ...] = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The twenty classes of PASCAL VOC 2007 to 2012, in their usual order, the alphabet's."""

Listed = tuple[Path, str]
"""A folder in VOC layout and the name of one of its lists."""


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
    """Say what a folder of VOC files offers.

    A VOCdevkit, as the organisers pack it, trains on the trainval lists of VOC2007 and VOC2012 (of those that are there) and
    is examined on VOC2007's test list; nothing is chosen on that list, so there is no `val`. Any other folder has a list train
    and maybe lists val and test of its own. Raises FileNotFoundError for a folder that is neither.
    """
    years = [folder / year for year in ("VOC2007", "VOC2012") if _has(folder / year, "trainval")]
    if years:
        test = ((folder / "VOC2007", "test"),) if _has(folder / "VOC2007", "test") else ()
        return Sources(tuple((year, "trainval") for year in years), test=test, official=True)
    if not _has(folder, "train"):
        raise FileNotFoundError(
            f"{folder}: neither VOC2007/ImageSets/Main/trainval.txt nor ImageSets/Main/train.txt is there, "
            "expected a VOCdevkit or a folder in VOC layout"
        )
    val, test = (((folder, split),) if _has(folder, split) else () for split in ("val", "test"))
    return Sources(((folder, "train"),), val, test)


def read_listed(listed: Sequence[Listed], labels: Sequence[str]) -> tuple[LabelledPicture, ...]:
    """Read lists of pictures, taken together. Raises ValueError for a list without pictures, and as `read_split` does."""
    found: list[LabelledPicture] = []
    for folder, split in listed:
        pictures = read_split(folder, split, labels=labels)
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

    Raises ValueError when there is none. Annotations that cannot be read are left to `read_split`, which names them.
    """
    names: set[str] = set()
    for folder, split in listed:
        for picture in listed_names(folder, split):
            names |= _object_names(folder / "Annotations" / f"{picture}.xml")
    if not names:
        folders = ", ".join(str(folder) for folder, _ in listed)
        raise ValueError(f"labels: no object in {folders} has a name, expected some")
    return tuple(sorted(names))


def _has(folder: Path, split: str) -> bool:
    return (folder / "ImageSets" / "Main" / f"{split}.txt").is_file()


def _object_names(path: Path) -> set[str]:
    try:
        tree = ET.fromstring(path.read_bytes())  # noqa: S314 - labels are the trainer's own files
    except (OSError, ET.ParseError):
        return set()
    return {name for element in tree.findall("object") if (name := (element.findtext("name") or "").strip())}
