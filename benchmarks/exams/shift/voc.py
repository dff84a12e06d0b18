"""Pictures on disk: a data set in VOC layout, written whole or not at all, gone on with where it was stopped.

    OUT/JPEGImages/<name>.jpg   OUT/Annotations/<name>.xml   OUT/ImageSets/Main/shift.txt   OUT/manifest.json

Boxes in the XML follow VOC: 1-based, inclusive.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks.exams.shift.labels import Label
from benchmarks.exams.shift.lens import encode_jpeg
from benchmarks.exams.shift.still import Still

SPLIT, VIEWS = "shift", 3
RECIPE = "shift-1"  # raise it whenever the same seed would draw another picture
WIDTH, HEIGHT = 960, 540
_FIRST_SEED = 900_000_000  # far from every seed that a training picture has


@dataclass(frozen=True)
class Entry:
    """A picture's row in the manifest."""

    name: str
    seed: int
    view: int
    sha256: str
    counts: dict[str, int]
    adults: list[list[int]]


def room_seed(room: int) -> int:
    """Seed of the exam's n-th room; raises ValueError below 0."""
    if room < 0:
        raise ValueError(f"room {room}: expected 0 or more")
    return _FIRST_SEED + room


def picture_name(room: int, view: int) -> str:
    """Name of a picture, without folder and ending."""
    return f"{SPLIT}_{room:06d}_{view}"


def annotation(name: str, still: Still) -> str:
    """A picture's VOC annotation."""
    height, width = still.rgb.shape[:2]
    root = ET.Element("annotation")
    for key, text in (("folder", "JPEGImages"), ("filename", f"{name}.jpg")):
        ET.SubElement(root, key).text = text
    ET.SubElement(ET.SubElement(root, "source"), "database").text = SPLIT
    size = ET.SubElement(root, "size")
    for key, number in (("width", width), ("height", height), ("depth", 3)):
        ET.SubElement(size, key).text = str(number)
    ET.SubElement(root, "segmented").text = "0"
    for one in still.labels:
        root.append(_object(one, width, height))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _object(one: Label, width: int, height: int) -> ET.Element:
    item = ET.Element("object")
    x0, y0, x1, y1 = one.box_xyxy
    cut = x0 == 0 or y0 == 0 or x1 == width or y1 == height
    for key, text in (
        *(("name", one.behaviour), ("pose", "Unspecified"), ("truncated", str(int(cut)))),
        *(("occluded", str(int(one.visible < 0.8))), ("difficult", "0")),
    ):
        ET.SubElement(item, key).text = text
    box = ET.SubElement(item, "bndbox")
    for key, number in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
        ET.SubElement(box, key).text = str(number)
    return item


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


def write_room(out: Path, room: int, views: Iterable[Still]) -> list[Entry]:
    """Write one room's pictures and annotations."""
    entries = list[Entry]()
    for view, still in enumerate(views):
        name, jpeg = picture_name(room, view), encode_jpeg(still.rgb, still.quality)
        _write(out / "JPEGImages" / f"{name}.jpg", jpeg)
        _write(out / "Annotations" / f"{name}.xml", annotation(name, still).encode())
        counts = dict(Counter(one.behaviour for one in still.labels))
        adults = [list(box) for box in still.adults]
        entries.append(Entry(name, room_seed(room), view, hashlib.sha256(jpeg).hexdigest(), counts, adults))
    return entries


class Exam:
    """The data set on disk. Raises ValueError for a folder that another recipe drew."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.entries = dict[str, Entry]()
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        self._load()

    def _load(self) -> None:
        path = self.out / "manifest.json"
        if not path.exists():
            return
        manifest = json.loads(path.read_text("utf-8"))
        if manifest.get("recipe") != RECIPE:
            raise ValueError(f"{path}: recipe is {manifest.get('recipe')!r}: expected {RECIPE!r}; use another folder")
        rows = [Entry(**row) for row in manifest["pictures"]]
        self.entries = {row.name: row for row in rows if self._whole(row)}

    def _whole(self, row: Entry) -> bool:
        jpeg, xml = self.out / "JPEGImages" / f"{row.name}.jpg", self.out / "Annotations" / f"{row.name}.xml"
        return xml.exists() and jpeg.exists() and hashlib.sha256(jpeg.read_bytes()).hexdigest() == row.sha256

    def missing(self, count: int) -> list[int]:
        """Rooms to draw so that the exam holds `count` pictures."""
        return [room for room in range(-(-count // VIEWS)) if not self._holds(room)]

    def _holds(self, room: int) -> bool:
        return all(picture_name(room, view) in self.entries for view in range(VIEWS))

    def add(self, entries: list[Entry]) -> None:
        """Take a room's pictures in and save manifest and list."""
        self.entries |= {entry.name: entry for entry in entries}
        rows = [self.entries[name] for name in sorted(self.entries)]
        totals = Counter[str]()
        for row in rows:
            totals.update(row.counts)
        manifest = {
            "split": SPLIT,
            "recipe": RECIPE,
            "width": WIDTH,
            "height": HEIGHT,
            "counts": dict(sorted(totals.items())),
            "pictures": [asdict(row) for row in rows],
        }
        listing = "".join(f"{row.name}\n" for row in rows)
        _write(self.out / "ImageSets" / "Main" / f"{SPLIT}.txt", listing.encode())
        _write(self.out / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
