"""Frames: their size, their masks, their bytes."""

import cv2
import numpy as np
import pytest

from classpulse.errors import InvalidRecord
from classpulse.ingest.pictures import Printer, covered, printed_size
from classpulse.ingest.sources.base import Image, SourceError, scaled
from tests.services.ingest.making import StillPicture


class Noise:
    """A picture of noise."""

    pts_ms = 0

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels: Image = np.random.default_rng(1).integers(60, 256, (height, width, 3)).astype(np.uint8)

    def scaled(self, width: int, height: int) -> Image:
        return scaled(self.pixels, width, height)


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        ((1280, 720), 640, (640, 360)),
        ((1920, 1080), 640, (640, 360)),
        ((640, 480), 640, (640, 480)),
        ((320, 240), 640, (320, 240)),
        ((641, 359), 640, (640, 358)),
        ((101, 51), 640, (100, 50)),
        ((1, 1), 640, (2, 2)),
        ((1000, 3), 10, (10, 2)),
    ],
)
def test_a_frame_is_no_wider_than_asked_and_has_even_sides(
    size: tuple[int, int], most: int, expected: tuple[int, int]
) -> None:
    assert printed_size(*size, most) == expected


def test_a_frame_is_a_jpeg_of_the_size_it_says() -> None:
    width, height, jpeg = Printer().print(Noise(1280, 720))
    assert (width, height) == (640, 360)
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (360, 640, 3)


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 480), (12_000, 9_000), (-640, -480)])
def test_a_picture_of_no_or_too_many_pixels_is_refused_before_it_is_converted(width: int, height: int) -> None:
    picture = StillPicture(0, width, height)
    with pytest.raises(SourceError, match=rf"bad_size: picture of {width}x{height}; expected 1 to 50000000 pixels"):
        Printer().print(picture)
    assert picture.converted == []


def test_no_pixel_that_a_mask_touches_survives_scaling() -> None:
    noise, mask = Noise(1280, 720), [(0.1, 0.1), (0.6, 0.2), (0.3, 0.9)]
    hidden = Noise(1280, 720)
    polygon = np.array([[x * 1280, y * 720] for x, y in mask]).astype(np.float32)

    def is_inside(x: float, y: float) -> bool:
        return bool(cv2.pointPolygonTest(polygon, (x, y), measureDist=False) >= 0)

    inside = np.array([[is_inside(x + 0.5, y + 0.5) for x in range(0, 1280, 8)] for y in range(0, 720, 8)])
    hidden.pixels[np.kron(inside, np.ones((8, 8), dtype=bool))] = 255
    prints = [decoded(Printer([mask]), picture) for picture in (noise, hidden)]
    sampled = inside[1:-1, 1:-1]
    for image in prints:
        cells = image[::4, ::4][1:-1, 1:-1]
        assert int(cells[sampled].max()) < 40, "black, but for JPEG's ringing"
    assert inside.mean() > 0.1


def test_masks_are_black_only_where_they_are() -> None:
    right = [(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)]
    hidden = covered([right], 1280, 720, 640, 360)
    assert not hidden[:, :319].any()
    assert hidden[:, 320:].all()


@pytest.mark.parametrize("source", [(641, 361), (1279, 717), (999, 555)])
def test_masks_cover_partly_touched_pixels_at_any_ratio(source: tuple[int, int]) -> None:
    width, height = printed_size(*source, 640)
    mask = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    hidden = covered([mask], *source, width, height)
    marked = np.zeros((source[1], source[0], 3), dtype=np.uint8)
    x0, y0, x1, y1 = 0.25 * source[0], 0.25 * source[1], 0.75 * source[0], 0.75 * source[1]
    marked[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = 255
    assert not scaled(marked, width, height)[~hidden].any()


def test_masks_follow_a_change_of_size() -> None:
    printer = Printer([[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]])
    for size in ((640, 360), (320, 240), (640, 360)):
        image = decoded(printer, Noise(*size))
        half = image.shape[1] // 2
        assert image[:, : half - 8].max() < 40
        assert image[:, half + 8 :].mean() > 100


def test_a_picture_that_cannot_be_encoded_says_so() -> None:
    class Broken(Noise):
        def scaled(self, width: int, height: int) -> Image:
            return np.zeros((0, 0, 3), dtype=np.uint8)

    with pytest.raises(InvalidRecord, match="decode_error: picture of 64x48"):
        Printer().print(Broken(64, 48))


def decoded(printer: Printer, picture: Noise) -> Image:
    _, _, jpeg = printer.print(picture)
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)
