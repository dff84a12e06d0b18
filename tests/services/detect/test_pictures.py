"""A picture's size is known before anything is allocated for it, and a broken one is told from a sound one."""

import tracemalloc

import cv2
import numpy as np
import pytest

from classpulse.detect.pictures import decode_picture, jpeg_size
from classpulse.errors import InvalidRecord
from classpulse.records import Frame
from tests.services.detect.rig import CAMERA, jpeg


def frame(picture: bytes, *, width: int = 32, height: int = 24) -> Frame:
    return Frame(
        camera=CAMERA,
        epoch=1,
        sequence=7,
        captured_at_ms=0,
        interval_ms=200,
        width=width,
        height=height,
        jpeg=picture,
    )


def claiming(width: int, height: int) -> bytes:
    """A sound JPEG whose frame header claims another size."""
    picture = bytearray(jpeg())
    at = picture.index(b"\xff\xc0")
    picture[at + 5 : at + 9] = height.to_bytes(2) + width.to_bytes(2)
    return bytes(picture)


@pytest.mark.parametrize("nothing", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"GIF89a", b"\0" * 100])
def test_what_is_no_jpeg_is_corrupt(nothing: bytes) -> None:
    with pytest.raises(InvalidRecord, match=r"corrupt_jpeg: .*expected"):
        jpeg_size(nothing)


@pytest.mark.parametrize("option", [cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL])
def test_the_size_is_read_from_baseline_and_progressive_headers(option: int) -> None:
    _, data = cv2.imencode(".jpg", np.zeros((30, 50, 3), np.uint8), [option, 1])
    assert jpeg_size(data.tobytes()) == (50, 30)


def test_padding_before_a_marker_is_skipped() -> None:
    assert jpeg_size(b"\xff\xd8\xff\xff" + jpeg()[3:]) == (32, 24)


def test_a_sound_picture_is_decoded_as_bgr() -> None:
    blue = np.zeros((24, 32, 3), np.uint8)
    blue[:, :, 0] = 255
    _, data = cv2.imencode(".jpg", blue)
    assert decode_picture(frame(data.tobytes())).mean(axis=(0, 1)) == pytest.approx([255, 0, 0], abs=3)


@pytest.mark.parametrize(("width", "height"), [(0, 24), (32, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(width: int, height: int) -> None:
    with pytest.raises(InvalidRecord, match=rf"bad_size: .*is {width}x{height}; expected 1 to 50000000 pixels"):
        decode_picture(frame(claiming(width, height)))


def test_a_hundred_megapixels_are_refused_before_they_are_allocated() -> None:
    picture = claiming(10_000, 10_000)
    tracemalloc.start()
    with pytest.raises(InvalidRecord, match=r"bad_size: .*is 10000x10000; expected 1 to 50000000 pixels"):
        decode_picture(frame(picture, width=10_000, height=10_000))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_a_picture_of_another_size_than_its_record_says_is_refused() -> None:
    with pytest.raises(InvalidRecord, match=r"bad_size: JPEG of t/s/room/front/1/7 is 32x24; expected 64x48"):
        decode_picture(frame(jpeg(), width=64, height=48))


def test_a_picture_that_is_cut_off_is_corrupt() -> None:
    with pytest.raises(InvalidRecord, match=r"corrupt_jpeg: JPEG of t/s/room/front/1/7 is cut off"):
        decode_picture(frame(jpeg()[:-20]))


def test_a_header_without_a_picture_is_corrupt() -> None:
    picture = jpeg()
    header = picture[: picture.index(b"\xff\xc0") + 19]
    with pytest.raises(InvalidRecord, match=r"corrupt_jpeg: .*does not decode; expected 32x24"):
        decode_picture(frame(header + b"\xff\xd9"))
