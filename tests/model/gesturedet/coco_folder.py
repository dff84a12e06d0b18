"""Little folders in COCO layout: the same things as in `voc_folder`, told as CVAT tells them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gesturedet.labels import BEHAVIOURS
from tests.model.gesturedet.voc_folder import Thing

NAMES = (*BEHAVIOURS, "adult")


def write_coco(
    root: Path,
    pictures: Mapping[str, Sequence[Thing]],
    *,
    file: str = "annotations/instances_train.json",
    where: str = "images",
) -> Path:
    """Write grey pictures, and the file that says what is on them; boxes are given as VOC counts pixels."""
    write_json(root / file, instances(pictures))
    for name in pictures:
        path = root / where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((90, 160, 3), 96, dtype=np.uint8))
    return root


def write_json(path: Path, told: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told), "utf-8")


def instances(pictures: Mapping[str, Sequence[Thing]]) -> dict[str, Any]:
    """What is on these pictures. A category's number is not that of its class."""
    images = [{"id": 7 + n, "file_name": name, "width": 160, "height": 90} for n, name in enumerate(pictures)]
    objects = [
        (7 + n, NAMES.index(label), [x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1])
        for n, things in enumerate(pictures.values())
        for label, (x0, y0, x1, y1) in things
    ]
    return {
        "categories": [{"id": 50 - n, "name": name} for n, name in enumerate(NAMES)],
        "images": images,
        "annotations": [
            {"id": n, "image_id": image, "category_id": 50 - place, "bbox": box, "iscrowd": 0, "segmentation": []}
            for n, (image, place, box) in enumerate(objects, start=1)
        ],
    }
