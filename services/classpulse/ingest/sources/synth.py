"""camera → ingest: a drawn picture, the same for the same seed: for load, for tests of the route, for a first look.

`synth://?seed=1&width=640&height=360&fps=10&duration_ms=5000&pace=realtime`; without `duration_ms` it never ends.
A few blocks move before a still wall; nothing in it resembles anybody.
"""

import cv2
import numpy as np

from classpulse.errors import BadInput
from classpulse.ingest.sources.base import Address, Image, Opened, SourceEnded, Wish, check_size
from classpulse.settings import masked

BLOCKS = 6
MOST_SIDE = 1 << 16
FOR_EVER_MS = 10**15


class SynthPicture:
    """The picture of one moment; drawn when asked for."""

    def __init__(self, source: "SynthSource", number: int) -> None:
        self._source, self._number = source, number
        self.pts_ms = source.time_of(number)
        self.width, self.height = source.size_wh

    def scaled(self, width: int, height: int) -> Image:
        """Drawn at that size."""
        return self._source.draw(self._number, width, height)


class SynthSource:
    """Pictures at a fixed rate, as a recording: a restart goes on where it was."""

    recorded = True
    loops = False

    def __init__(self, address: Address, _wish: Wish) -> None:
        address.choose("seed", "width", "height", "fps", "duration_ms", "pace")
        self.size_wh = (
            address.number("width", 640, least=0, most=MOST_SIDE),
            address.number("height", 360, least=0, most=MOST_SIDE),
        )
        self._fps = address.number("fps", 10, least=1, most=240)
        self._seed = address.number("seed", 1, least=0, most=2**31)
        self._duration_ms = address.number("duration_ms", 0, least=0, most=FOR_EVER_MS) or None
        self.paced = address.choice("pace", "realtime", "none", "realtime") == "realtime"
        if self._duration_ms is None and not self.paced:
            expected = "expected duration_ms with pace=none: it would never end"
            raise BadInput([f"source = {masked(address.url)!r}: duration_ms is missing; {expected}"])
        self._blocks = np.random.default_rng(self._seed).random((BLOCKS, 3)).tolist()
        self._next = 0
        self._walls: dict[tuple[int, int], Image] = {}

    def open(self, *, after_ms: int, timeout_ms: int) -> Opened:  # noqa: ARG002 - nothing to wait for
        """Start after a stream time. Raises SourceError for a size that no picture may have."""
        check_size(*self.size_wh)
        self._next = self._first_at(after_ms + 1)
        return Opened(self._duration_ms, float(self._fps))

    def read(self) -> SynthPicture:
        """The next picture."""
        if self._duration_ms is not None and self.time_of(self._next) >= self._duration_ms:
            raise SourceEnded(self._duration_ms)
        self._next += 1
        return SynthPicture(self, self._next - 1)

    def skip_to(self, pts_ms: int) -> None:
        """Go to the first picture that is wanted."""
        self._next = max(self._next, self._first_at(pts_ms))

    def close(self) -> None:
        """Nothing is held."""

    def time_of(self, number: int) -> int:
        """Stream time of the picture with that number."""
        return number * 1000 // self._fps

    def draw(self, number: int, width: int, height: int) -> Image:
        """Blocks on their way along a wall."""
        image = self._wall(width, height).copy()
        for lane, (start, speed, hue) in enumerate(self._blocks):
            x = int((start + (0.2 + speed) * number / (10 * self._fps)) % 1.0 * width)
            y = height * (lane + 1) // (BLOCKS + 2)
            colour = (60 + 40 * lane % 190, int(255 * hue), 230 - 30 * lane)
            cv2.rectangle(image, (x, y), (x + width // 10, y + height // 8), colour, thickness=-1)
        return image

    def _first_at(self, pts_ms: int) -> int:
        number = max(0, pts_ms) * self._fps // 1000
        return number if self.time_of(number) >= pts_ms else number + 1

    def _wall(self, width: int, height: int) -> Image:
        if (width, height) not in self._walls:
            shade = np.linspace(90, 200, width, dtype=np.float32)[None, :] + np.linspace(-40, 40, height)[:, None]
            grain = np.random.default_rng(self._seed).integers(-6, 7, size=(height, width))
            wall = np.clip(shade + grain, 0, 255).astype(np.uint8)
            self._walls = {(width, height): np.asarray(cv2.merge([wall, wall, wall]), dtype=np.uint8)}
        return self._walls[width, height]
