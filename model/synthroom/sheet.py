"""Sheet: contact sheets for people's eyes; pictures with their boxes, lessons with what is true at each moment."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import cv2
import numpy as np

from synthroom.renderer import U8
from synthroom.sitting import HAND_RAISING, SLEEPING, STAND_UP

COLOURS_RGB = {HAND_RAISING: (60, 220, 60), STAND_UP: (250, 220, 40), SLEEPING: (250, 60, 50), "adult": (150, 150, 150)}
Boxes = list[tuple[str, tuple[int, int, int, int]]]


def draw_boxes(rgb: U8, boxes: Boxes, note: str) -> U8:
    """A copy of a picture with boxes (half-open pixels) and a note in its corner."""
    out = np.ascontiguousarray(rgb).copy()
    for name, (x0, y0, x1, y1) in boxes:
        cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), COLOURS_RGB[name], 2)
    cv2.putText(out, note, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 2)
    return out


def tile(pictures: list[U8], columns: int) -> U8:
    """Pictures of one size side by side, the last row filled with black. Raises ValueError for none."""
    if not pictures:
        raise ValueError("pictures: expected at least one to tile, found none")
    missing = -len(pictures) % columns
    padded = [*pictures, *([np.zeros_like(pictures[0])] * missing)]
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    sheet: U8 = np.vstack(rows)
    return sheet


def read_boxes(annotation: Path) -> Boxes:
    """Boxes of a VOC annotation, half-open pixels."""
    out: Boxes = []
    for item in ET.parse(annotation).getroot().iter("object"):  # noqa: S314 - our own files
        x0, y0, x1, y1 = (int(item.findtext(f"bndbox/{key}", "0")) for key in ("xmin", "ymin", "xmax", "ymax"))
        out.append((item.findtext("name", ""), (x0 - 1, y0 - 1, x1, y1)))
    return out


def picture_sheet(folder: Path, count: int, columns: int) -> U8:
    """The first pictures of a data set with their boxes."""
    names = sorted(path.stem for path in (folder / "JPEGImages").glob("*.jpg"))[:count]
    pictures = []
    for name in names:
        rgb = cv2.cvtColor(cv2.imread(str(folder / "JPEGImages" / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
        pictures.append(draw_boxes(rgb, read_boxes(folder / "Annotations" / f"{name}.xml"), name))
    return tile(pictures, columns)


def lesson_sheet(clip: Path, count: int, columns: int) -> U8:
    """Evenly spaced frames of a lesson, each with the mid-span boxes of what holds then (dark: not visible)."""
    true = json.loads(clip.with_suffix(".truth.json").read_text())
    wanted = {int(i) for i in np.linspace(0, true["frames"] - 1, count)}
    pictures = []
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number not in wanted:
                continue
            rgb, now = frame.to_ndarray(format="rgb24"), number * 1000 / true["fps"]
            boxes: Boxes = []
            for span in true["spans"]:
                if span["started_ms"] <= now < span["ended_ms"] and span["visible"]:
                    x0, y0, x1, y1 = (
                        round(v * s) for v, s in zip(span["box_xyxy"], 2 * [true["width"], true["height"]], strict=True)
                    )
                    boxes.append((span["behaviour"], (x0, y0, x1, y1)))
            pictures.append(draw_boxes(rgb, boxes, f"{clip.stem} {now / 1000:.1f} s"))
    return tile(pictures, columns)
