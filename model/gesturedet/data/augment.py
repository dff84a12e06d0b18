"""A picture and its truth → a changed picture and its truth: SSD's augmentation, and a stronger one (training leg).

Geometry is one window per picture: a part of it (the crop that keeps objects), or more than all of it (the expansion),
maybe mirrored. It is cut out at the decoded size and scaled once; colours are changed at the net's size, which is
several times cheaper. In a mosaic four pictures share the net's input. Boxes are fractions, before and after. G boxes of
a picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gesturedet.boxes import area, iou_matrix
from gesturedet.data.appearance import random_convolution
from gesturedet.data.voc import Picture, Truth

Window = tuple[float, float, float, float]
"""x0, y0, x1, y1 in fractions of the picture; below 0 or above 1 lies outside."""

WHOLE: Window = (0.0, 0.0, 1.0, 1.0)
_INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC)
_AREA_FROM = 2.5
"""Shrinking by more than this, other interpolations would skip pixels."""
_CROP_TRIALS = 30
_MOSAIC_CENTRE = (0.4, 0.6)
"""Where the four meet, as a share of either side: beyond it people would look too broad or too narrow."""


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """What may happen to a picture; probabilities are 0..1.

    The defaults are SSD's (its section 2.2 and its reference code). `blur`, `noise`, `jpeg`, `coarse` and `grey` are no
    part of SSD: they make drawings look like what cheap cameras send. `mixing`: random filters (`data.appearance`).
    `mosaic`: four pictures in one (YOLOv4, arXiv 2004.10934, section 3.4), each at about half its size: far pupils.
    `least_visible`: an object of which a crop leaves less than this fraction is ignored rather than taught.
    `least_side_px`: the same for one that becomes smaller than this in the net's input.
    """

    photometric: bool = True
    expand: float = 0.5
    most_expansion: float = 4.0
    crop: float = 6 / 7
    least_crop_side: float = 0.3
    crop_ious: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
    flip: float = 0.5
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0
    coarse: float = 0.0
    grey: float = 0.0
    mixing: float = 0.0
    mosaic: float = 0.0
    least_visible: float = 0.25
    least_side_px: float = 4.0


SSD_AUGMENTATION = AugmentConfig()
STRONG_AUGMENTATION = AugmentConfig(
    expand=0.0,
    crop=0.4,
    least_crop_side=0.5,
    blur=0.2,
    noise=0.3,
    jpeg=0.3,
    coarse=0.15,
    grey=0.05,
    least_side_px=8.0,
)
"""No expansion: pupils are near the least size that the net can see, and must not become smaller still."""
NO_AUGMENTATION = AugmentConfig(photometric=False, expand=0.0, crop=0.0, flip=0.0, least_side_px=0.0)


def augment(
    picture: Picture, truth: Truth, size_hw: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> tuple[Picture, Truth]:
    """Return the changed picture (RGB, `size_hw`, 3) and its truth. The same state of `rng` gives the same picture."""
    changed, moved = _cut(picture, truth, size_hw, config, rng)
    return _look(changed, config, rng), moved


def mosaic(
    shown: Sequence[tuple[Picture, Truth]], size_hw: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> tuple[Picture, Truth]:
    """Return four pictures around one point near the middle as one changed picture (RGB, `size_hw`, 3), and its truth.

    Raises ValueError for another number of pictures.
    """
    height, width = size_hw
    row, column = (round(side * rng.uniform(*_MOSAIC_CENTRE)) for side in size_hw)
    canvas, parts = np.empty((*size_hw, 3), np.uint8), []
    corners = ((0, 0, row, column), (0, column, row, width), (row, 0, height, column), (row, column, height, width))
    for (picture, truth), (top, left, bottom, right) in zip(shown, corners, strict=True):
        part_hw = (bottom - top, right - left)
        canvas[top:bottom, left:right], moved = _cut(picture, truth, part_hw, config, rng)
        scale, start = np.array([*part_hw[::-1]] * 2) / (width, height, width, height), np.array([left, top] * 2)
        boxes_xyxy = moved.boxes_xyxy * scale + start / (width, height, width, height)
        parts.append(Truth(boxes_xyxy.astype(np.float32), moved.class_ids, moved.ignored))
    truth = Truth(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Truth)))
    return _look(canvas, config, rng), truth


def _cut(
    picture: Picture, truth: Truth, size_hw: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> tuple[Picture, Truth]:
    """Choose a window, maybe mirrored, and say what is in it."""
    window = choose_window(truth, config, rng)
    flipped = rng.random() < config.flip
    interpolation = _INTERPOLATIONS[int(rng.integers(len(_INTERPOLATIONS)))] if config.photometric else cv2.INTER_LINEAR
    changed = cut_window(picture, window, size_hw, interpolation)
    if flipped:
        changed = np.ascontiguousarray(changed[:, ::-1])
    return changed, move_truth(truth, window, flipped=flipped, size_hw=size_hw, config=config)


def _look(picture: Picture, config: AugmentConfig, rng: np.random.Generator) -> Picture:
    """Change how a picture looks and nothing of where things are."""
    return _degrade(_distort(picture, rng) if config.photometric else picture, config, rng)


def choose_window(truth: Truth, config: AugmentConfig, rng: np.random.Generator) -> Window:
    """Expand the picture, then crop what came out, each or not, as SSD does."""
    window = WHOLE
    if rng.random() < config.expand:
        ratio = rng.uniform(1.0, config.most_expansion)
        left, top = rng.uniform(0.0, ratio - 1.0, 2)
        window = (-left, -top, ratio - left, ratio - top)
    if rng.random() < config.crop:
        window = _choose_crop(truth, window, config, rng)
    return window


def _choose_crop(truth: Truth, window: Window, config: AugmentConfig, rng: np.random.Generator) -> Window:
    """Find a part of the window that overlaps some object by a drawn least IoU and holds the centre of one."""
    least_iou = config.crop_ious[int(rng.integers(len(config.crop_ious)))]
    sides = np.array([window[2] - window[0], window[3] - window[1]])
    for _ in range(_CROP_TRIALS):
        size = rng.uniform(config.least_crop_side, 1.0, 2)
        if not 0.5 <= size[0] / size[1] <= 2.0:
            continue
        start = rng.uniform(0.0, 1.0 - size)
        low = np.array(window[:2]) + start * sides
        high = low + size * sides
        crop: Window = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        if len(truth) == 0 or _holds_an_object(truth.boxes_xyxy, crop, least_iou):
            return crop
    return window


def _holds_an_object(boxes_xyxy: NDArray[np.float32], crop: Window, least_iou: float) -> bool:
    """Say whether an object whose centre lies in the crop overlaps it enough.

    The overlap is taken over the object's own area: over the union, as in SSD's code, a small object could never
    reach 0.1 and all crops of classrooms would be refused.
    """
    crop_14 = np.array([crop], dtype=np.float32)
    low_G2 = np.maximum(boxes_xyxy[:, :2], crop_14[:, :2])
    high_G2 = np.minimum(boxes_xyxy[:, 2:], crop_14[:, 2:])
    visible_G = np.prod((high_G2 - low_G2).clip(min=0.0), axis=1) / area(boxes_xyxy)
    overlap_G = np.maximum(visible_G, iou_matrix(boxes_xyxy, crop_14)[:, 0])
    return bool((_centre_inside(boxes_xyxy, crop) & (overlap_G >= least_iou)).any())


def _centre_inside(boxes_xyxy: NDArray[np.float32], window: Window) -> NDArray[np.bool_]:
    centre_G2 = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    inside_G2 = (centre_G2 >= window[:2]) & (centre_G2 < window[2:])
    return np.asarray(inside_G2.all(axis=1))


def move_truth(
    truth: Truth, window: Window, *, flipped: bool, size_hw: tuple[int, int], config: AugmentConfig
) -> Truth:
    """Say where the objects are in the window, clipped to it.

    An object outside is gone. One whose centre left the window, or that is cut or shrunk too much, is ignored.
    """
    low, high = np.array(window[:2], dtype=np.float32), np.array(window[2:], dtype=np.float32)
    moved_G4 = (truth.boxes_xyxy - np.tile(low, 2)) / np.tile(high - low, 2)
    if flipped:
        moved_G4 = moved_G4[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1]) + np.array([1, 0, 1, 0])
    clipped_G4 = moved_G4.clip(0.0, 1.0).astype(np.float32)
    visible_G = area(clipped_G4) / np.maximum(area(moved_G4.astype(np.float32)), 1e-12)
    side_px_G = ((clipped_G4[:, 2:] - clipped_G4[:, :2]) * np.array(size_hw[::-1])).min(axis=1)
    kept_G = (visible_G > 0.0) & (side_px_G > 0.0)
    large_G = (visible_G >= config.least_visible) & (side_px_G >= config.least_side_px)
    taught_G = large_G & _centre_inside(moved_G4.astype(np.float32), WHOLE)
    ignored_G: NDArray[np.bool_] = np.logical_or(truth.ignored, ~taught_G)
    return Truth(clipped_G4[kept_G], truth.class_ids[kept_G], ignored_G[kept_G])


def cut_window(picture: Picture, window: Window, size_hw: tuple[int, int], interpolation: int) -> Picture:
    """Scale the window to `size_hw`; what lies outside the picture becomes its mean colour."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = (round(value * side) for value, side in zip(window, (width, height) * 2, strict=True))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    inner = picture[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    if min((y1 - y0) / size_hw[0], (x1 - x0) / size_hw[1]) > _AREA_FROM:
        interpolation = cv2.INTER_AREA
    if inner.shape[:2] == (y1 - y0, x1 - x0):
        scaled: Picture = cv2.resize(inner, size_hw[::-1], interpolation=interpolation)
        return scaled
    scale_y, scale_x = size_hw[0] / (y1 - y0), size_hw[1] / (x1 - x0)
    top, left = round((max(y0, 0) - y0) * scale_y), round((max(x0, 0) - x0) * scale_x)
    rows = min(max(round(inner.shape[0] * scale_y), 1), size_hw[0] - top)
    columns = min(max(round(inner.shape[1] * scale_x), 1), size_hw[1] - left)
    canvas = np.empty((*size_hw, 3), dtype=np.uint8)
    canvas[:] = np.array(cv2.mean(picture)[:3]).round().astype(np.uint8)
    if inner.size and rows > 0 and columns > 0:
        canvas[top : top + rows, left : left + columns] = cv2.resize(
            inner, (columns, rows), interpolation=interpolation
        )
    return canvas


def _distort(picture: Picture, rng: np.random.Generator) -> Picture:
    """Photometric distortion of SSD: brightness, contrast before or after the colours, saturation, hue, channel order.

    All that is linear in a channel goes through one table of 256 entries.
    """
    brightness = rng.uniform(-32, 32) if rng.random() < 0.5 else 0.0
    contrast = rng.uniform(0.5, 1.5) if rng.random() < 0.5 else 1.0
    contrast_first = rng.random() < 0.5
    saturation = rng.uniform(0.5, 1.5) if rng.random() < 0.5 else 1.0
    hue = int(rng.integers(-9, 10)) if rng.random() < 0.5 else 0
    levels = np.arange(256, dtype=np.float32) + brightness
    picture = cv2.LUT(picture, _table(levels * contrast if contrast_first else levels))
    if saturation != 1.0 or hue:
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        hues = (np.arange(256) + hue) % 180
        tables = np.stack([hues, np.arange(256) * saturation, np.arange(256)], axis=1)
        picture = cv2.cvtColor(cv2.LUT(hsv, _table(tables).reshape(1, 256, 3)), cv2.COLOR_HSV2RGB)
    if not contrast_first and contrast != 1.0:
        picture = cv2.LUT(picture, _table(np.arange(256) * contrast))
    if rng.random() < 0.1:
        picture = np.ascontiguousarray(picture[:, :, rng.permutation(3)])
    return picture


def _degrade(picture: Picture, config: AugmentConfig, rng: np.random.Generator) -> Picture:
    """Do what cheap cameras do: colour lost, detail lost, blur, noise, compression."""
    height, width = picture.shape[:2]
    if config.mixing and rng.random() < config.mixing:
        picture = random_convolution(picture, rng)
    if rng.random() < config.grey:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < config.coarse:
        scale = rng.uniform(0.5, 0.9)
        small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < config.blur:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.0))
    if rng.random() < config.noise:
        noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(2.0, 10.0))
        picture = cv2.add(picture, noise, dtype=cv2.CV_8U)
    if rng.random() < config.jpeg:
        quality = int(rng.integers(30, 91))
        encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        picture = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return picture


def _table(levels: NDArray[Any]) -> Picture:
    return levels.clip(0, 255).round().astype(np.uint8)
