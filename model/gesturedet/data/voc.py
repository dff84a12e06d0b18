"""PASCAL VOC folders → pictures with truth: what training and evaluation read (first leg of training).

Layout: `ImageSets/Main/<split>.txt` names the pictures, `Annotations/<name>.xml` says what is on them,
`JPEGImages/` holds them. G boxes of a picture.
"""

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gesturedet.labels import AUXILIARY, BEHAVIOURS, class_of

Picture = NDArray[np.uint8]

_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_REDUCED = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}


@dataclass(frozen=True, slots=True)
class Truth:
    """The objects of one picture.

    `boxes_xyxy` (G, 4) in fractions of the picture, `class_ids` (G,) from 1, `ignored` (G,) true for objects marked
    difficult: they are neither taught nor counted.
    """

    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    ignored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.class_ids)


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture on disk and its truth. `group` is what it shares with its likes (its room), for intervals."""

    name: str
    path: Path
    size_hw: tuple[int, int]
    group: str
    truth: Truth = field(repr=False)


def read_split(
    root: Path, split: str, *, labels: Sequence[str] = BEHAVIOURS, unlabelled: frozenset[str] = frozenset()
) -> tuple[LabelledPicture, ...]:
    """Read the truth of every picture of a split, in the order of its list. Pictures stay on disk.

    `labels` names the classes from 1 on; objects named in `unlabelled`, and in `labels.AUXILIARY` if `labels` does not
    name them, are left out as if nobody had marked them.
    Raises FileNotFoundError for a missing list, annotation or picture and ValueError for one that says something
    impossible; both name file, key, value and expectation.
    """
    names = listed_names(root, split)
    groups = _read_groups(root)
    unlabelled |= AUXILIARY - set(labels)
    return tuple(_read_picture(root, name, groups.get(name, name), labels, unlabelled) for name in names)


def listed_names(root: Path, split: str) -> list[str]:
    """Return the names of a split's pictures. Raises FileNotFoundError for a missing list, ValueError for a name listed twice."""
    listing = root / "ImageSets" / "Main" / f"{split}.txt"
    if not listing.is_file():
        raise FileNotFoundError(f"{listing}: no such list of pictures for split {split!r}")
    names = [line.split()[0] for line in listing.read_text("utf-8").splitlines() if line.strip()]
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ValueError(f"{listing}: picture {repeated[0]!r} is listed more than once, expected each name once")
    return names


def read_pixels(picture: LabelledPicture, *, at_least_hw: tuple[int, int] | None = None) -> Picture:
    """Decode a picture to RGB (H, W, 3).

    With `at_least_hw` a JPEG is decoded at half or quarter size if that still has so many rows and columns, which is
    several times faster. Raises ValueError for a file that is no picture.
    """
    encoded = picture.path.read_bytes()
    pixels = None if is_cut_short(encoded) else _decode(encoded, _REDUCED[_reduction(picture.size_hw, at_least_hw)])
    if pixels is None:
        raise ValueError(
            f"{picture.path}: {len(encoded)} bytes are not a readable picture, expected a whole JPEG or PNG"
        )
    rgb: Picture = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return rgb


def readable(pictures: Sequence[LabelledPicture]) -> tuple[tuple[LabelledPicture, ...], tuple[str, ...]]:
    """Return the pictures that can be read, and the names of the others. Reads every file once."""
    fine, bad = [], []
    for picture in pictures:
        try:
            read_pixels(picture, at_least_hw=(1, 1))
            fine.append(picture)
        except (OSError, ValueError):
            bad.append(picture.name)
    return tuple(fine), tuple(bad)


def is_cut_short(encoded: bytes) -> bool:
    """Say whether a JPEG ends before its end: OpenCV 4 would fill what is missing with grey and say nothing."""
    return encoded.startswith(_JPEG) and encoded.rfind(_JPEG_END) < encoded.rfind(_JPEG_SCAN)


def _decode(encoded: bytes, how: int) -> Picture | None:
    try:
        pixels: Picture | None = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), how) if encoded else None
    except cv2.error:  # a header that promises more pixels than OpenCV takes
        return None
    return pixels


def _reduction(size_hw: tuple[int, int], at_least_hw: tuple[int, int] | None) -> int:
    if at_least_hw is None:
        return 1
    fits = (
        factor
        for factor in (4, 2)
        if all(size // factor >= least for size, least in zip(size_hw, at_least_hw, strict=True))
    )
    return next(fits, 1)


def _read_groups(root: Path) -> dict[str, str]:
    """Read the rooms from the `manifest.json` of drawn pictures (its `seed`); without one every picture is alone."""
    path = root / "manifest.json"
    if not path.is_file():
        return {}
    try:
        return {row["name"]: str(row["seed"]) for row in json.loads(path.read_text("utf-8"))["pictures"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error!r}, expected pictures with name and seed") from error


def _read_picture(
    root: Path, name: str, group: str, labels: Sequence[str], unlabelled: frozenset[str]
) -> LabelledPicture:
    path = root / "Annotations" / f"{name}.xml"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such annotation for listed picture {name!r}")
    try:
        tree = ET.fromstring(path.read_bytes())  # noqa: S314 - labels are the trainer's own files
    except ET.ParseError as error:
        raise ValueError(f"{path}: not readable XML ({error}), expected a VOC annotation") from error
    size_hw = (_number(path, tree, "size/height"), _number(path, tree, "size/width"))
    if min(size_hw) < 1:
        raise ValueError(f"{path}: size {size_hw[1]:g}x{size_hw[0]:g} has no pixels, expected width and height above 0")
    image = root / "JPEGImages" / (tree.findtext("filename") or f"{name}.jpg")
    if not image.is_file():
        raise FileNotFoundError(f"{path}: filename {image.name!r} is no file in {image.parent}")
    truth = _read_truth(path, tree, size_hw, labels, unlabelled)
    return LabelledPicture(name, image, (int(size_hw[0]), int(size_hw[1])), group, truth)


def _read_truth(
    path: Path,
    tree: ET.Element,
    size_hw: tuple[float, float],
    labels: Sequence[str],
    unlabelled: frozenset[str],
) -> Truth:
    boxes, class_ids, ignored = [], [], []
    for element in tree.findall("object"):
        name = (element.findtext("name") or "").strip()
        if name in unlabelled:
            continue
        if name not in labels:
            raise ValueError(f"{path}: object name {name!r} is none of {', '.join(labels)}")
        boxes.append(_read_box(path, element, size_hw))
        class_ids.append(class_of(name, labels))
        ignored.append((element.findtext("difficult") or "0").strip() == "1")
    return Truth(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(class_ids, dtype=np.int64),
        np.array(ignored, dtype=np.bool_),
    )


def _read_box(path: Path, element: ET.Element, size_hw: tuple[float, float]) -> list[float]:
    """Turn VOC's inclusive pixel numbers, counted from 1, into fractions; writers who count from 0 are clipped."""
    x0, y0, x1, y1 = (_number(path, element, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
    if x1 < x0 or y1 < y0:
        raise ValueError(f"{path}: bndbox {x0:g},{y0:g},{x1:g},{y1:g} is inside out, expected xmin ≤ xmax, ymin ≤ ymax")
    height, width = size_hw
    box = [max(x0 - 1, 0) / width, max(y0 - 1, 0) / height, min(x1, width) / width, min(y1, height) / height]
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(
            f"{path}: bndbox {x0:g},{y0:g},{x1:g},{y1:g} lies outside the picture, expected 1..{width:g}, 1..{height:g}"
        )
    return box


def _number(path: Path, element: ET.Element, key: str) -> float:
    text = element.findtext(key)
    try:
        return float(text or "")
    except ValueError:
        raise ValueError(f"{path}: {key} is {text!r}, expected a number") from None
