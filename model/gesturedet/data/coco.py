"""COCO folders → pictures with truth, as CVAT and Label Studio export them: beside `voc.py`, another way to label.

Layout: `annotations/instances_<split>.json` says what is on which picture; pictures lie in `images/<split>/`, in `images/`, in
the folder itself or beside that file. A folder whose only such file names no split (`instances_default.json`, as CVAT writes
it, or Label Studio's `result.json`) gives all of its pictures for any split that is asked. G boxes of a picture.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec
import numpy as np

from gesturedet.data.voc import LabelledPicture, Truth
from gesturedet.labels import AUXILIARY, BEHAVIOURS, class_of

WHOLE = ("instances_default.json", "result.json")
"""Files that name no split."""


class _Category(msgspec.Struct):
    id: int
    name: str


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _Attributes(msgspec.Struct):
    """What CVAT tells of an object. `rotation`: degrees by which its rectangle is turned, of which `bbox` knows nothing."""

    difficult: bool = False
    rotation: float = 0.0


class _Annotation(msgspec.Struct):
    """An object. `bbox`: x, y, width and height in pixels from 0; `iscrowd`: many, marked as one."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float] | None = None
    iscrowd: Literal[0, 1] = 0
    attributes: _Attributes = msgspec.field(default_factory=_Attributes)


class _Instances(msgspec.Struct):
    categories: list[_Category]
    images: list[_Image]
    annotations: list[_Annotation]


def annotation_files(root: Path) -> list[Path]:
    """Return the files of a folder that say what is on its pictures; none for a folder that is not in COCO layout."""
    return [*sorted((root / "annotations").glob("instances_*.json")), *root.glob("result.json")]


def only_file(root: Path) -> Path | None:
    """Return the file that says all about a folder, for whatever split; None where its files name their splits."""
    files = annotation_files(root)
    return files[0] if len(files) == 1 and files[0].name in WHOLE else None


def annotation_file(root: Path, split: str) -> Path:
    """Return the file of a split. Raises FileNotFoundError where there is none."""
    named = root / "annotations" / f"instances_{split}.json"
    found = named if named.is_file() else only_file(root)
    if found is None:
        raise FileNotFoundError(
            f"{named}: no such annotations for split {split!r}, expected them, or {' or '.join(WHOLE)} alone"
        )
    return found


def read_split(root: Path, split: str, *, labels: Sequence[str] = BEHAVIOURS) -> tuple[LabelledPicture, ...]:
    """Read the truth of every picture of a split, in the order of its file. Pictures stay on disk.

    `labels` names the classes from 1 on; a category goes by its name, whatever its number, and objects named in
    `labels.AUXILIARY` are left out if `labels` does not name them. Crowds, and objects with a true attribute `difficult`, are
    ignored. A picture's `group` is the folder that `file_name` puts it in below `images/`, if any.
    Raises FileNotFoundError for a missing file or picture and ValueError for one that says something impossible; both name
    file, key, value and expectation.
    """
    path = annotation_file(root, split)
    told = _read(path)
    names, objects = _names(path, told), _objects(path, told)
    pictures: dict[str, LabelledPicture] = {}
    for image in told.images:
        picture = _read_picture(root, path, image, _read_truth(path, image, objects[image.id], names, labels))
        if picture.name in pictures:
            raise ValueError(
                f"{path}: file_name {image.file_name!r} is a second picture {picture.name!r}, expected each name once"
            )
        pictures[picture.name] = picture
    return tuple(pictures.values())


def names_in(root: Path, split: str) -> set[str]:
    """Return the names of all objects of a split. Raises as `read_split` does for its file."""
    path = annotation_file(root, split)
    told = _read(path)
    names = _names(path, told)
    return {names[one.category_id] for one in told.annotations if one.category_id in names}


def _read(path: Path) -> _Instances:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Instances)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}, expected COCO's categories, images and annotations") from error


def _names(path: Path, told: _Instances) -> dict[int, str]:
    """The categories' names by their numbers."""
    names = {one.id: one.name.strip() for one in told.categories}
    _hold_once(path, "categories", [one.id for one in told.categories])
    return names


def _objects(path: Path, told: _Instances) -> dict[int, list[_Annotation]]:
    """The objects of each picture, by its number."""
    _hold_once(path, "images", [one.id for one in told.images])
    objects: dict[int, list[_Annotation]] = {one.id: [] for one in told.images}
    for one in told.annotations:
        if one.image_id not in objects:
            raise ValueError(
                f"{path}: annotation {one.id}: image_id {one.image_id} is no picture, expected one of images"
            )
        objects[one.image_id].append(one)
    return objects


def _hold_once(path: Path, key: str, ids: Sequence[int]) -> None:
    seen: set[int] = set()
    for one in ids:
        if one in seen:
            raise ValueError(f"{path}: {key}: id {one} is told more than once, expected each id once")
        seen.add(one)


def _read_picture(root: Path, path: Path, image: _Image, truth: Truth) -> LabelledPicture:
    """Find a picture. What is left of its name below `images/` and the split's folder is its own, maybe with a room before it."""
    said, split = PurePosixPath(image.file_name), path.stem.removeprefix("instances_")
    if said.is_absolute() or ".." in said.parts:
        raise ValueError(f"{path}: file_name {image.file_name!r} leads out of the folder, expected a picture in {root}")
    places = dict.fromkeys((root / "images" / split, root / "images", root, path.parent))
    found = next((place / said for place in places if (place / said).is_file()), None)
    if found is None:
        raise FileNotFoundError(f"{path}: file_name {image.file_name!r} is no file in {', '.join(map(str, places))}")
    own = said
    for outer in ("images", split):
        own = own.relative_to(outer) if own.parts[0] == outer and len(own.parts) > 1 else own
    name, room = own.with_suffix("").as_posix(), own.parent.as_posix()
    return LabelledPicture(name, found, (image.height, image.width), name if room == "." else room, truth)


def _read_truth(
    path: Path, image: _Image, objects: Sequence[_Annotation], names: Mapping[int, str], labels: Sequence[str]
) -> Truth:
    if min(image.width, image.height) < 1:
        raise ValueError(
            f"{path}: image {image.id}: size {image.width}x{image.height} has no pixels, expected width and height above 0"
        )
    boxes, class_ids, ignored = [], [], []
    for one in objects:
        where = f"{path}: annotation {one.id}"
        name = names.get(one.category_id)
        if name in AUXILIARY - set(labels):
            continue
        if name is None:
            raise ValueError(f"{where}: category_id {one.category_id} is no category, expected one of categories")
        if name not in labels:
            raise ValueError(f"{where}: category name {name!r} is none of {', '.join(labels)}")
        boxes.append(_read_box(where, one, image))
        class_ids.append(class_of(name, labels))
        ignored.append(one.iscrowd == 1 or one.attributes.difficult)
    return Truth(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(class_ids, dtype=np.int64),
        np.array(ignored, dtype=np.bool_),
    )


def _read_box(where: str, one: _Annotation, image: _Image) -> list[float]:
    """Turn a box in pixels into fractions; what lies beyond the picture's edges is cut off."""
    if one.bbox is None:
        raise ValueError(f"{where}: bbox is absent, expected x, y, width and height; an outline alone is not read")
    if one.attributes.rotation:
        raise ValueError(f"{where}: rotation is {one.attributes.rotation:g}, expected an upright box")
    x, y, width, height = one.bbox
    if width <= 0 or height <= 0:
        raise ValueError(
            f"{where}: bbox {x:g},{y:g},{width:g},{height:g} has no area, expected width and height above 0"
        )
    box = [
        max(x, 0) / image.width,
        max(y, 0) / image.height,
        min(x + width, image.width) / image.width,
        min(y + height, image.height) / image.height,
    ]
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(
            f"{where}: bbox {x:g},{y:g},{width:g},{height:g} lies outside the picture, expected some of it in "
            f"0..{image.width}, 0..{image.height}"
        )
    return box
