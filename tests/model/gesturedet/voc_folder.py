"""Writes small VOC folders for tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

Thing = tuple[str, tuple[int, int, int, int]]
"""Name and inclusive pixel box, counted from 1."""


def write_voc(
    root: Path, pictures: Mapping[str, Sequence[Thing]], *, split: str = "train", size_hw: tuple[int, int] = (90, 160)
) -> Path:
    """Write pictures whose objects are filled rectangles, a colour for each name."""
    for folder in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in pictures), "utf-8")
    for name, things in pictures.items():
        pixels = np.full((*size_hw, 3), 96, dtype=np.uint8)
        for label, (x0, y0, x1, y1) in things:
            pixels[y0 - 1 : y1, x0 - 1 : x1] = _colour(label)
        cv2.imwrite(str(root / "JPEGImages" / f"{name}.jpg"), pixels)
        objects = "".join(object_xml(label, box) for label, box in things)
        write_annotation(root, name, annotation_xml(name, size_hw, objects))
    return root


def write_annotation(root: Path, name: str, xml: str) -> None:
    (root / "Annotations" / f"{name}.xml").write_text(xml, "utf-8")


def annotation_xml(name: str, size_hw: tuple[object, object], objects: str) -> str:
    size = f"<size><width>{size_hw[1]}</width><height>{size_hw[0]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}.jpg</filename>{size}{objects}</annotation>"


def object_xml(label: str, box: Sequence[object], *, difficult: int = 0) -> str:
    corners = "".join(
        f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{label}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


def _colour(label: str) -> tuple[int, int, int]:
    shade = sum(label.encode()) % 3
    return tuple(230 if channel == shade else 20 for channel in range(3))  # type: ignore[return-value]
