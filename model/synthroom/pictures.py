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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from synthroom.bodies import F32
from synthroom.camera import Camera
from synthroom.classroom import place_teachers, pose_class
from synthroom.idle import HARD
from synthroom.labels import Label, label, visible_box
from synthroom.lens import bend, block
from synthroom.mesh import Mesh
from synthroom.people import Person, Spot
from synthroom.poses import LIE_AWAKE
from synthroom.props import held_mesh
from synthroom.renderer import U8, Crowd, Drawable, Light, Picture, Renderer
from synthroom.scene import Scene, build_scene
from synthroom.seeds import picture_seed, rng_of
from synthroom.sensor import coded, draw_sensor, encode_jpeg, expose
from synthroom.sitting import Draw, Pose
from synthroom.views import draw_light, draw_view
from synthroom.worlds import GENERAL, World, world_of

WIDTH, HEIGHT, VIEWS = 960, 540, 3
ADULT = "adult"
"""Name of a teacher's box in annotations; no behaviour, and nothing that is published."""
LEAST_ADULT_PIXELS = 60


@dataclass(frozen=True)
class Still:
    """One finished picture: pixels (H, W, 3), its labels, boxes of adults, JPEG quality.

    `unsure`: labels that are neither taught nor counted (VOC's `difficult`): nobody could say whether they hold yet, or
    they are larger than a world wants. `facts`: what the data card counts, name -> value.
    """

    rgb: U8
    labels: tuple[Label, ...]
    adults: tuple[tuple[int, int, int, int], ...]
    quality: int
    unsure: tuple[Label, ...] = ()
    facts: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A picture's row in the manifest."""

    name: str
    seed: int
    view: int
    sha256: str
    counts: dict[str, int]
    adults: list[list[int]]
    facts: dict[str, str | int]


def draw_still(renderer: Renderer, scene: Scene, drawables: tuple[Crowd, Drawable], view: int, world: World) -> Still:
    """Pose, light, draw and label one view of a scene; `drawables` are its people and its room."""
    rng = rng_of(scene.seed, 1 + view)
    d = Draw(rng)
    poses, teachers = pose_class(scene, rng, world), place_teachers(scene, rng)
    bodies = place_everybody(drawables[0], scene, poses, teachers)
    kind, lit = d.pick(world.views), d.pick(world.lights)
    camera, light = draw_view(d, scene.plan, scene.pupils, kind), draw_light(d, lit)
    held = held_mesh([*((p, pose, p.spot) for p, pose in zip(scene.pupils, poses, strict=True)), *teachers])
    straight = _draw_with(renderer, drawables, held, camera, light)
    picture = bend(straight, camera.barrel)
    if d.chance(0.07):
        picture = block(picture, d)
        straight = picture if camera.barrel == 0 else straight
    vp = camera.projection(renderer.width / renderer.height) @ camera.view()
    found = [
        label(picture, p, pose, bodies[p.number][:, :3], vp, straight=straight, least_px=world.least_px)
        for p, pose in zip(scene.pupils, poses, strict=True)
    ]
    masks = [picture.persons == person.number for person, _, _ in teachers]
    sensor = draw_sensor(d, lit)
    rgb = expose(picture.rgb, sensor, rng)
    labels, large = _by_size([one for one in found if one is not None], world.most_px)
    return Still(
        rgb=coded(rgb, sensor.quantiser) if sensor.quantiser else rgb,
        labels=labels,
        adults=tuple(visible_box(mask) for mask in masks if mask.sum() >= LEAST_ADULT_PIXELS),
        quality=int(rng.integers(55, 94)),
        unsure=large,
        facts={
            "view": kind,
            "light": "night" if sensor.night else lit,
            "hard": sum(pose.kind in (*HARD, LIE_AWAKE) for pose in poses),
        },
    )


def place_everybody(
    crowd: Crowd, scene: Scene, poses: list[Pose], teachers: list[tuple[Person, Pose, Spot]]
) -> dict[int, F32]:
    """Put posed people in the room, and those without a place out of sight; each one's positions and normals (V, 6)."""
    bodies: dict[int, F32] = {p.number: p.posed(pose) for p, pose in zip(scene.pupils, poses, strict=True)}
    bodies |= {person.number: person.posed(pose, spot) for person, pose, spot in teachers}
    for person in scene.people:
        if person.number in bodies:
            crowd.place(person.number, bodies[person.number])
        else:
            crowd.vanish(person.number)
    return bodies


def _draw_with(
    renderer: Renderer, drawables: tuple[Crowd, Drawable], held: Mesh | None, camera: Camera, light: Light
) -> Picture:
    if held is None:
        return renderer.draw(drawables, camera, light)
    things = Drawable(renderer, held)
    try:
        return renderer.draw((*drawables, things), camera, light)
    finally:
        things.release()


def _by_size(labels: list[Label], most_px: int | None) -> tuple[tuple[Label, ...], tuple[Label, ...]]:
    """Labels that count, and those larger than a world wants."""

    def large(one: Label) -> bool:
        x0, y0, x1, y1 = one.box_xyxy
        return most_px is not None and max(x1 - x0, y1 - y0) > most_px

    return tuple(one for one in labels if not large(one)), tuple(one for one in labels if large(one))


def stills(renderer: Renderer, seed: int, world: World = GENERAL) -> Iterator[Still]:
    """All views of one scene."""
    scene = build_scene(seed, pupils=world.pupils)
    drawables = (Crowd(renderer, scene.people), Drawable(renderer, scene.room))
    try:
        for view in range(VIEWS):
            yield draw_still(renderer, scene, drawables, view, world)
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
    for box in still.adults:
        root.append(_object(Label(ADULT, 0, box, 1.0), width, height, difficult=False))
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
    return write_stills(out, split, scene, seed, stills(renderer, seed, world_of(split)))


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
        entries.append(Entry(name, seed, view, digest, counts, [list(box) for box in still.adults], still.facts))
    return entries


def picture_name(split: str, group: int, view: int) -> str:
    """Name of a picture, without folder and ending."""
    return f"{split}_{group:06d}_{view}"


class DataSet:
    """A data set on disk: its folders, its manifest, which groups of `views` pictures it already holds.

    `recipe` names what drew it, if not the split's world. Raises ValueError for a folder of another recipe or split.
    """

    def __init__(self, out: Path, split: str, *, recipe: int | str | None = None, views: int = VIEWS) -> None:
        self.out, self.split = out, split
        self._recipe, self._views = world_of(split).recipe if recipe is None else recipe, views
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
