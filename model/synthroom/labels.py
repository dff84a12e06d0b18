"""Labels: from the id buffer to boxes; one stated rule per class.

hand-raising: all visible pixels of the pupil's upper body with the raised arm (head, trunk, arms), if the raised hand
              shows at least 40 % of itself.
stand-up:     all visible pixels of the standing pupil.
sleeping:     all visible pixels of head, arms and trunk on the desk.
A box is dropped when less than 22 % of those parts is visible (hidden or outside the picture), or when its longer side
is under a world's least (16 pixels of 960 x 540 in training).
A box's edges are the 0.1 % and 99.9 % points of the visible pixels, so that one stray pixel seen
between two desks cannot stretch it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthroom.bodies import HAND_LEFT, HAND_RIGHT, LEGS, UPPER_BODY
from synthroom.camera import project
from synthroom.people import Person
from synthroom.renderer import Picture
from synthroom.rotations import Array
from synthroom.sitting import STAND_UP, Pose
from synthroom.worlds import LEAST_PIXELS

LEAST_VISIBLE, LEAST_HAND = 0.22, 0.4
_GRID = 28


@dataclass(frozen=True)
class Label:
    """A box in pixels, right and bottom exclusive; `visible` is the share of the labelled parts that shows."""

    behaviour: str
    person: int
    box_xyxy: tuple[int, int, int, int]
    visible: float


def labelled_parts(behaviour: str) -> tuple[int, ...]:
    """Parts of the body that a behaviour's box encloses."""
    return (*UPPER_BODY, LEGS) if behaviour == STAND_UP else UPPER_BODY


def visible_box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Box of a mask's true pixels (x0, y0, x1, y1), half-open, without its outermost 0.1 % of pixels on each side.

    Raises ValueError for an empty mask.
    """
    if not mask.any():
        raise ValueError("mask: expected at least one visible pixel, found none")
    rows, columns = mask.sum(1), mask.sum(0)
    total = int(rows.sum())
    x0, x1 = _span(columns, total)
    y0, y1 = _span(rows, total)
    return x0, y0, x1, y1


def _span(counts: npt.NDArray[np.int64], total: int) -> tuple[int, int]:
    """First and one past the last index once 0.1 % of the pixels is cut from each end."""
    so_far = np.cumsum(counts)
    spare = total // 1000
    first = int(np.argmax(so_far > spare))
    last = int(np.argmax(so_far >= total - spare))
    return first, last + 1


def projected_area(pixels: Array) -> float:
    """Area in square pixels that a dense cloud of projected points (N, 3: x, y, depth) covers, hidden or not."""
    seen = pixels[pixels[:, 2] > 0.05, :2]
    if len(seen) < len(pixels) * 0.9:
        return float("inf")  # partly behind the camera
    low, size = seen.min(0), np.ptp(seen, axis=0)
    cell = max(float(size.max()) / _GRID, 1e-3)
    cells = np.unique(np.floor((seen - low) / cell).astype(np.int64) @ np.array([1, 4 * _GRID]))
    # A cell of the outline is half covered on average; measured on free bodies the grid overstates by about a fifth.
    return float(len(cells)) * cell * cell * 0.82


def label(
    picture: Picture,
    person: Person,
    pose: Pose,
    vertices: npt.NDArray[np.float32],
    view_projection: Array,
    *,
    straight: Picture | None = None,
    least_px: int = LEAST_PIXELS,
) -> Label | None:
    """Box one pupil's behaviour, or None: no behaviour, hidden, or too small. `vertices` are (V, 3), in the room.

    `straight` is what the picture was before its lens bent it: what shows is measured there, where a pinhole's sizes hold.
    """
    behaviour = pose.behaviour
    if behaviour is None:
        return None
    own = picture.persons == person.number
    parts = labelled_parts(behaviour)
    mask = own & np.isin(picture.parts, parts)
    if not mask.any():
        return None
    flat = picture if straight is None else straight
    flat_own = flat.persons == person.number
    share = _visible_share(flat_own & np.isin(flat.parts, parts), person, parts, vertices, view_projection)
    box = visible_box(mask)
    if share < LEAST_VISIBLE or max(box[2] - box[0], box[3] - box[1]) < least_px:
        return None
    if pose.raised is not None:
        hand = HAND_LEFT if pose.raised == "L" else HAND_RIGHT
        seen = flat_own & (flat.parts == hand)
        if _visible_share(seen, person, (hand,), vertices, view_projection) < LEAST_HAND:
            return None
    return Label(behaviour, person.number, box, round(min(share, 1.0), 2))


def _visible_share(
    mask: npt.NDArray[np.bool_],
    person: Person,
    parts: tuple[int, ...],
    vertices: npt.NDArray[np.float32],
    view_projection: Array,
) -> float:
    height, width = mask.shape
    drawn = np.zeros(len(vertices), dtype=np.bool_)
    drawn[person.triangles.ravel()] = True
    chosen = vertices[drawn & np.isin(person.sitter.model.parts, parts)].astype(np.float64)
    area = projected_area(project(chosen, view_projection, width, height))
    return float(mask.sum()) / max(area, 1.0)
