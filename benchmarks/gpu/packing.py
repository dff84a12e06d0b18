"""What a GPU machine without a network is given: pictures, COCO's backbone and maybe a champion, in one file of at most 60 MiB."""

import hashlib
import io
import json
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from gesturedet.data.sources import Listed, Sources, read_listed
from gesturedet.data.voc import LabelledPicture
from gesturedet.labels import BEHAVIOURS
from gesturedet.port import fetch_coco_backbone

MOST_BYTES = 60 * 2**20
CHAMPION = ("model.onnx", "card.json")
CONTENTS = "pack.json"


@dataclass(frozen=True)
class Shrink:
    """How pictures were made smaller: at most so many pixels wide, and the quality of their JPEG. Exams lose by it too."""

    width: int = 640
    quality: int = 80


@dataclass(frozen=True)
class Carried:
    """What was unpacked. `sources` name folders and lists as before packing; `champion`: a release's folder, if there is one."""

    folder: Path
    sources: Sources
    shrink: Shrink
    commit: str

    @property
    def coco(self) -> Path:
        """The ported backbone; it lies where it is looked for before anything is fetched."""
        return fetch_coco_backbone(self.folder)

    @property
    def champion(self) -> Path | None:
        """The release to begin with, if one was packed."""
        return self.folder / "champion" if (self.folder / "champion").is_dir() else None


def pack(
    sources: Sources, packed: Path, *, coco: Path, champion: Path | None = None, shrink: Shrink = Shrink(), commit: str
) -> int:
    """Write the listed pictures and what training begins with as one file; return the number of its bytes.

    Raises ValueError for two folders of one name in one use, for lists that cannot be read, and for a file that would be
    too large.
    """
    uses = {use: getattr(sources, use) for use in ("train", "val", "test")}
    told = {use: [(f"{use}/{folder.name}", split) for folder, split in listed] for use, listed in uses.items()}
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for use, listed in uses.items():
            _hold_names(use, listed)
            for one in listed:
                for name, content in _voc_files(one, shrink):
                    _add(archive, f"{use}/{one[0].name}/{name}", content)
        _add(archive, coco.name, coco.read_bytes())
        for name in CHAMPION if champion else ():
            _add(archive, f"champion/{name}", (champion / name).read_bytes())
        contents = {"sources": told, "shrink": asdict(shrink), "commit": commit}
        _add(archive, CONTENTS, json.dumps(contents).encode())
    size = whole.tell()
    if size > MOST_BYTES:
        raise ValueError(
            f"{packed}: {size / 2**20:.1f} MiB, expected at most 60; lower --width or --quality, or list less"
        )
    packed.write_bytes(whole.getbuffer())
    return size


def unpack(packed: Path, into: Path) -> Carried:
    """Unpack once into a folder named after the file and its bytes; one that is there is whole: it gets its name last."""
    folder = into / f"{packed.stem}-{hashlib.sha256(packed.read_bytes()).hexdigest()[:8]}"
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.partial")
        with tarfile.open(packed) as archive:
            archive.extractall(partial, filter="data")
        partial.rename(folder)
    contents = json.loads((folder / CONTENTS).read_text())
    listed = {use: tuple((folder / name, split) for name, split in uses) for use, uses in contents["sources"].items()}
    return Carried(folder, Sources(**listed), Shrink(**contents["shrink"]), contents["commit"])


def smaller(path: Path, shrink: Shrink) -> tuple[bytes, float]:
    """A picture as JPEG of at most so many pixels in width, and how much smaller that is. The name stays, whatever it ends in."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path}: cannot be read, expected a picture")
    scale = min(1.0, shrink.width / picture.shape[1])
    if scale < 1.0:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, shrink.quality])[1].tobytes(), scale


def scaled(annotation: bytes, scale: float) -> bytes:
    """An annotation for a picture that was made smaller: its size and all boxes."""
    root = ET.fromstring(annotation)
    for tag in ("width", "height"):
        for element in root.findall(f"size/{tag}"):
            element.text = str(round(float(element.text or 0) * scale))
    for box in root.iter("bndbox"):
        for element in box:  # pixels are counted from 1, and the last one is inside
            first = 1.0 if element.tag.endswith("min") else 0.0
            element.text = f"{(float(element.text or 0) - first) * scale + first:.2f}"
    written: bytes = ET.tostring(root)
    return written


def _voc_files(listed: Listed, shrink: Shrink) -> Iterator[tuple[str, bytes]]:
    """One list of a folder in VOC layout, smaller: its pictures, annotations, the list and which room each picture shows."""
    folder, split = listed
    pictures = read_listed([listed], BEHAVIOURS)
    for picture in pictures:
        content, scale = smaller(picture.path, shrink)
        yield f"JPEGImages/{picture.path.name}", content
        annotation = f"Annotations/{picture.name}.xml"
        yield annotation, scaled((folder / annotation).read_bytes(), scale)
    yield f"ImageSets/Main/{split}.txt", "".join(f"{picture.name}\n" for picture in pictures).encode()
    yield "manifest.json", json.dumps({"pictures": [_room(picture) for picture in pictures]}).encode()


def _room(picture: LabelledPicture) -> dict[str, str]:
    return {"name": picture.name, "seed": picture.group}


def _hold_names(use: str, listed: tuple[Listed, ...]) -> None:
    names = [folder.name for folder, _ in listed]
    if len(set(names)) < len(names):
        raise ValueError(f"{use}: folders {', '.join(names)}, expected different names")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
