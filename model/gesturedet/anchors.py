"""Default boxes: what each output of the net speaks about, for any input size.

The net has six levels. Every level halves the map of the one before, rounding up, because all its stride-2 convolutions
pad to do so: 300 x 300 gives 38, 19, 10, 5, 3, 2 and 288 x 512 gives 36 x 64, 18 x 32, 9 x 16, 5 x 8, 3 x 4, 2 x 2.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LEVELS = 6
_HALVINGS_BEFORE_FIRST_LEVEL = 3

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AnchorSpec:
    """Shapes of the default boxes.

    `scales`: one side length per level and one beyond the last, as fractions of the input's shorter side; the square
    root of a box's area. `ratios`: width over height in the net's pixels at the level's own scale. `between_ratios`:
    the same at the geometric mean of the level's scale and the next one (SSD, section 2.2).
    """

    name: str
    scales: tuple[float, ...]
    ratios: tuple[float, ...]
    between_ratios: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.scales) != LEVELS + 1 or any(a >= b for a, b in zip(self.scales, self.scales[1:], strict=False)):
            raise ValueError(f"scales: {self.scales} are not {LEVELS + 1} rising numbers")
        for key, values in (("scales", self.scales), ("ratios", self.ratios), ("between_ratios", self.between_ratios)):
            if any(not 0.0 < value < math.inf for value in values):
                raise ValueError(f"{key}: {values} are not all above 0")
        if not self.per_cell:
            raise ValueError("ratios: neither ratios nor between_ratios names a shape, expected at least one")

    @property
    def per_cell(self) -> int:
        """Default boxes at each place of a map."""
        return len(self.ratios) + len(self.between_ratios)


PAPER_ANCHORS = AnchorSpec(
    name="paper",
    scales=(0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05),
    ratios=(1.0, 2.0, 1 / 2, 3.0, 1 / 3),
    between_ratios=(1.0,),
)
"""SSD300's shapes (its section 3.1), six at each place: 11,658 default boxes at 300 x 300."""

CLASSROOM_ANCHORS = AnchorSpec(
    name="classroom",
    scales=(0.04, 0.32 / 3, 0.2, 1 / 3, 1.3 / 3, 1.6 / 3, 2 / 3),
    ratios=(0.45, 0.8, 1.4),
    between_ratios=(0.45, 0.8, 1.4),
)
"""The product's: pupils are small (0.05 to 0.35 of the picture's height) and have the shapes of people, not of buses.

Two sizes a level times three shapes: standing (narrow), hand raised (nearly square), asleep on a desk (wide). The scales were
chosen at 256 x 448 by the share of such pupils, in pictures of 16:9, that some box overlaps by 0.5 or 0.4; they are as
many pixels at 288 x 512.
"""


def as_many_pixels(spec: AnchorSpec, *, at_hw: tuple[int, int], for_hw: tuple[int, int]) -> AnchorSpec:
    """Return the spec for inputs of `for_hw` whose default boxes are as many pixels as `spec` makes them at `at_hw`."""
    factor = min(at_hw) / min(for_hw)
    return replace(spec, name=f"{spec.name}-{for_hw[1]}", scales=tuple(scale * factor for scale in spec.scales))


def alike(first: tuple[AnchorSpec, tuple[int, int]], second: tuple[AnchorSpec, tuple[int, int]]) -> bool:
    """Say whether two specs, each with its input size, mean the same boxes: as fractions, or as pixels."""
    (one, one_hw), (other, other_hw) = first, second
    if (one.ratios, one.between_ratios) != (other.ratios, other.between_ratios):
        return False
    in_pixels = as_many_pixels(one, at_hw=one_hw, for_hw=other_hw).scales
    return any(np.allclose(scales, other.scales, rtol=1e-6) for scales in (one.scales, in_pixels))


def feature_sizes_hw(input_hw: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return the map size of each of the six levels for an input size.

    Raises ValueError for an input without pixels.
    """
    if min(input_hw) < 1:
        raise ValueError(f"input_hw: {input_hw} is not a height and a width of at least 1 pixel")
    return tuple(
        (math.ceil(input_hw[0] / stride), math.ceil(input_hw[1] / stride))
        for stride in (2 ** (_HALVINGS_BEFORE_FIRST_LEVEL + level) for level in range(LEVELS))
    )


def anchors_cxcywh(input_hw: tuple[int, int], spec: AnchorSpec) -> Floats:
    """Return all default boxes, shape (A, 4), in fractions of the picture, not clipped to it.

    Order: level, row, column, shape; the same in which the heads' outputs are laid out.
    """
    levels = [
        _level(input_hw, size_hw, _shapes_wh(spec, level)) for level, size_hw in enumerate(feature_sizes_hw(input_hw))
    ]
    return np.concatenate(levels).astype(np.float32)


def _shapes_wh(spec: AnchorSpec, level: int) -> NDArray[np.float64]:
    """Width and height of the level's shapes (S, 2), as fractions of the input's shorter side."""
    scale, between = spec.scales[level], math.sqrt(spec.scales[level] * spec.scales[level + 1])
    pairs = [(scale, ratio) for ratio in spec.ratios] + [(between, ratio) for ratio in spec.between_ratios]
    return np.array([(side * math.sqrt(ratio), side / math.sqrt(ratio)) for side, ratio in pairs])


def _level(input_hw: tuple[int, int], size_hw: tuple[int, int], shapes_wh: NDArray[np.float64]) -> NDArray[np.float64]:
    """All boxes of one level: a box centred on each cell for each shape."""
    rows, columns = size_hw
    centre_y = (np.arange(rows) + 0.5) / rows
    centre_x = (np.arange(columns) + 0.5) / columns
    sizes = shapes_wh * min(input_hw) / np.array([input_hw[1], input_hw[0]])
    boxes = np.empty((rows, columns, len(sizes), 4))
    boxes[..., 0] = centre_x[None, :, None]
    boxes[..., 1] = centre_y[:, None, None]
    boxes[..., 2:] = sizes
    return boxes.reshape(-1, 4)
