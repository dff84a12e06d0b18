"""Pictures: scenes become a labelled data set in VOC layout, reproducible and resumable.

    OUT/JPEGImages/<name>.jpg   OUT/Annotations/<name>.xml   OUT/ImageSets/Main/<split>.txt   OUT/manifest.json

A scene is built once and seen three times: each view has its own poses, camera, light and sensor, all from the scene's
seed. Boxes in the XML follow VOC: 1-based, inclusive.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from synthroom.bodies import F32
from synthroom.classroom import place_teachers, pose_class
from synthroom.labels import Label, label, visible_box
from synthroom.renderer import U8, Crowd, Drawable, Renderer
from synthroom.scene import Scene, build_scene, draw_camera, draw_light
from synthroom.seeds import picture_seed, rng_of
from synthroom.sensor import draw_sensor, encode_jpeg, expose

WIDTH, HEIGHT, VIEWS = 960, 540, 3
RECIPE = 2  # raise it whenever the same seed would draw another picture


@dataclass(frozen=True)
class Still:
    """One finished picture: pixels (H, W, 3), its labels, boxes of adults (unlabelled), JPEG quality.

    `unsure`: labels of which nobody could say whether they hold yet, or still; VOC's `difficult`.
    """

    rgb: U8
    labels: tuple[Label, ...]
    adults: tuple[tuple[int, int, int, int], ...]
    quality: int
    unsure: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A picture's row in the manifest."""

    name: str
    seed: int
    view: int
    sha256: str
    counts: dict[str, int]
    adults: list[list[int]]


def draw_still(renderer: Renderer, scene: Scene, drawables: tuple[Crowd, Drawable], view: int) -> Still:
    """Pose, light, draw and label one view of a scene; `drawables` are its people and its room."""
    rng = rng_of(scene.seed, 1 + view)
    poses, teachers = pose_class(scene, rng), place_teachers(scene, rng)
    crowd, _ = drawables
    bodies: dict[int, F32] = {p.number: p.posed(pose) for p, pose in zip(scene.pupils, poses, strict=True)}
    bodies |= {person.number: person.posed(pose, spot) for person, pose, spot in teachers}
    for person in scene.people:
        if person.number in bodies:
            crowd.place(person.number, bodies[person.number])
        else:
            crowd.vanish(person.number)
    camera, light = draw_camera(rng, scene.plan), draw_light(rng)
    picture = renderer.draw(drawables, camera, light)
    vp = camera.projection(renderer.width / renderer.height) @ camera.view()
    found = [label(picture, p, pose, bodies[p.number][:, :3], vp) for p, pose in zip(scene.pupils, poses, strict=True)]
    masks = [picture.persons == person.number for person, _, _ in teachers]
    return Still(
        rgb=expose(picture.rgb, draw_sensor(rng), rng),
        labels=tuple(one for one in found if one is not None),
        adults=tuple(visible_box(mask) for mask in masks if mask.sum() >= 100),
        quality=int(rng.integers(62, 93)),
    )


def stills(renderer: Renderer, seed: int) -> Iterator[Still]:
    """All views of one scene."""
    scene = build_scene(seed)
    drawables = (Crowd(renderer, scene.people), Drawable(renderer, scene.room))
    try:
        for view in range(VIEWS):
            yield draw_still(renderer, scene, drawables, view)
    finally:
        for drawable in drawables:
            drawable.release()


def annotation(name: str, still: Still) -> str:
    """A picture's VOC annotation."""
    height, width = still.rgb.shape[:2]
    root = ET.Element("annotation")
    for key, text in (("folder", "JPEGImages"), ("filename", f"{name}.jpg")):
        ET.SubElement(root, key).text = text
    ET.SubElement(ET.SubElement(root, "source"), "database").text = "synthroom"
    size = ET.SubElement(root, "size")
    for key, number in (("width", width), ("height", height), ("depth", 3)):
        ET.SubElement(size, key).text = str(number)
    ET.SubElement(root, "segmented").text = "0"
    for one in (*still.labels, *still.unsure):
        root.append(_object(one, width, height, difficult=one in still.unsure))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _object(one: Label, width: int, height: int, *, difficult: bool) -> ET.Element:
    item = ET.Element("object")
    x0, y0, x1, y1 = one.box_xyxy
    cut = x0 == 0 or y0 == 0 or x1 == width or y1 == height
    for key, text in (
        *(("name", one.behaviour), ("pose", "Unspecified"), ("truncated", str(int(cut)))),
        *(("occluded", str(int(one.visible < 0.8))), ("difficult", str(int(difficult)))),
    ):
        ET.SubElement(item, key).text = text
    box = ET.SubElement(item, "bndbox")
    for key, number in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
        ET.SubElement(box, key).text = str(number)
    return item


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or absent."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


def write_scene(renderer: Renderer, out: Path, split: str, scene: int) -> list[Entry]:
    """Draw one scene's pictures into the data set."""
    seed = picture_seed(split, scene)
    return write_stills(out, split, scene, seed, stills(renderer, seed))


def write_stills(out: Path, split: str, group: int, seed: int, views: Iterable[Still]) -> list[Entry]:
    """Write the pictures of one group, a scene or a lesson, and their annotations."""
    entries = list[Entry]()
    for view, still in enumerate(views):
        name = picture_name(split, group, view)
        jpeg = encode_jpeg(still.rgb, still.quality)
        write_atomically(out / "JPEGImages" / f"{name}.jpg", jpeg)
        write_atomically(out / "Annotations" / f"{name}.xml", annotation(name, still).encode())
        counts = dict(Counter(one.behaviour for one in still.labels))
        digest = hashlib.sha256(jpeg).hexdigest()
        entries.append(Entry(name, seed, view, digest, counts, [list(box) for box in still.adults]))
    return entries


def picture_name(split: str, group: int, view: int) -> str:
    """Name of a picture, without folder and ending."""
    return f"{split}_{group:06d}_{view}"


class DataSet:
    """A data set on disk: its folders, its manifest, which groups of `views` pictures it already holds.

    `recipe` names what drew it. Raises ValueError for a folder of another recipe or split.
    """

    def __init__(self, out: Path, split: str, *, recipe: int | str = RECIPE, views: int = VIEWS) -> None:
        self.out, self.split = out, split
        self._recipe, self._views = recipe, views
        self.entries: dict[str, Entry] = {}
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        self._load()

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies."""
        return self.out / "manifest.json"

    def _load(self) -> None:
        if not self.manifest_path.exists():
            return
        manifest = json.loads(self.manifest_path.read_text())
        found = (manifest.get("split"), manifest.get("recipe"))
        if found != (self.split, self._recipe):
            expected = (self.split, self._recipe)
            raise ValueError(
                f"{self.manifest_path}: split and recipe are {found}: expected {expected}; use another folder"
            )
        rows = [Entry(**row) for row in manifest["pictures"]]
        self.entries = {row.name: row for row in rows if self._whole(row)}

    def _whole(self, row: Entry) -> bool:
        jpeg, xml = self.out / "JPEGImages" / f"{row.name}.jpg", self.out / "Annotations" / f"{row.name}.xml"
        return xml.exists() and jpeg.exists() and hashlib.sha256(jpeg.read_bytes()).hexdigest() == row.sha256

    def missing(self, count: int) -> list[int]:
        """Groups to draw so that the set holds `count` pictures."""
        groups = range((count + self._views - 1) // self._views)
        return [group for group in groups if not self._holds(group)]

    def _holds(self, group: int) -> bool:
        return all(picture_name(self.split, group, view) in self.entries for view in range(self._views))

    def add(self, entries: list[Entry]) -> None:
        """Take a group's pictures in."""
        self.entries |= {entry.name: entry for entry in entries}

    def save(self) -> None:
        """Write the manifest and the list of pictures."""
        rows = [self.entries[name] for name in sorted(self.entries)]
        totals = Counter[str]()
        for row in rows:
            totals.update(row.counts)
        manifest = {
            "split": self.split,
            "recipe": self._recipe,
            "width": WIDTH,
            "height": HEIGHT,
            "counts": dict(sorted(totals.items())),
            "pictures": [asdict(row) for row in rows],
        }
        listing = "".join(f"{row.name}\n" for row in rows)
        write_atomically(self.out / "ImageSets" / "Main" / f"{self.split}.txt", listing.encode())
        write_atomically(self.manifest_path, (json.dumps(manifest, indent=1) + "\n").encode())
