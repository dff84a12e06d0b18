"""Sensor: what a classroom camera makes of light; softness, motion, colour cast, noise, night mode, codec, JPEG."""

import io
from dataclasses import dataclass

import av
import cv2
import numpy as np
import numpy.typing as npt

from synthroom.renderer import U8
from synthroom.sitting import Draw


@dataclass(frozen=True)
class Sensor:
    """A camera's electronics.

    `pixels`: share of true pixels (0.67 of 540 lines are 360); `blur_px`; `motion_px`: length of a smear, `motion_deg` its
    direction; `cast`: gain of red, green, blue; `brightness` aimed at, `contrast`, `noise`: standard deviation in grey
    levels; `glow`: how much bright areas spread; `night`: infrared, grey; `quantiser`: of H.264, 0 for none.
    """

    pixels: float
    blur_px: float
    cast: tuple[float, float, float]
    brightness: float
    contrast: float
    noise: float
    motion_px: float = 0.0
    motion_deg: float = 0.0
    glow: float = 0.0
    night: bool = False
    quantiser: int = 0


def draw_sensor(d: Draw, light: str = "day") -> Sensor:
    """Draw a classroom camera's electronics; in a dim room it sees a dark, noisy or an infrared picture."""
    dim = light == "dim"
    night = dim and d.chance(0.35)
    cast = np.array([d.u(0.92, 1.06) for _ in range(3)])
    if d.chance(0.2):  # a wrong white balance
        cast *= np.array([d.u(0.8, 1.2), 1.0, d.u(0.8, 1.2)])
    exposure = d.pick({"right": 0.8, "over": 0.1, "under": 0.1}) if not dim else d.pick({"under": 0.7, "right": 0.3})
    bright = {"right": (90, 145), "over": (150, 195), "under": (45, 88)}[exposure]
    return Sensor(
        pixels={"360": 0.67, "some": d.u(0.5, 0.9), "all": 1.0}[d.pick({"360": 0.05, "some": 0.25, "all": 0.7})],
        blur_px=d.u(0.3, 0.9),
        cast=(float(cast[0]), float(cast[1]), float(cast[2])),
        brightness=d.u(*bright),
        contrast=d.u(0.85, 1.4),
        noise=d.u(4, 16) if dim else d.u(0.5, 6.0),
        motion_px=d.u(2, 7) if d.chance(0.25 if dim else 0.08) else 0.0,
        motion_deg=d.u(0, 180),
        glow=d.u(0.1, 0.5) if light == "window" or d.chance(0.1) else 0.0,
        night=night,
        quantiser=int(d.u(24, 38)) if d.chance(0.45) else 0,
    )


def expose(rgb: U8, sensor: Sensor, rng: np.random.Generator, *, mean: float | None = None) -> U8:
    """Make a rendered picture (H, W, 3) look taken; `mean` fixes the brightness that is taken as given."""
    h, w = rgb.shape[:2]
    picture = _infrared(rgb) if sensor.night else rgb
    if sensor.pixels < 1:  # a cheap camera: fewer true pixels than it sends
        small = (int(w * sensor.pixels), int(h * sensor.pixels))
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR)
    picture = cv2.GaussianBlur(picture, (0, 0), sensor.blur_px)
    if sensor.motion_px > 0:
        picture = cv2.filter2D(picture, -1, _smear(sensor.motion_px, sensor.motion_deg))
    if sensor.glow > 0:
        bright = np.where(picture > 225, picture, 0).astype(np.uint8)
        picture = cv2.addWeighted(picture, 1.0, cv2.GaussianBlur(bright, (0, 0), w / 40), sensor.glow, 0)
    given = float(picture.mean()) if mean is None else mean
    cast = (1.0, 1.0, 1.0) if sensor.night else sensor.cast
    gain = np.array(cast) * float(np.clip(sensor.brightness / max(given, 1), 0.4, 2.5))
    pivot = 110.0
    steps = np.arange(256)[:, None] * gain[None]
    table = np.clip((steps - pivot) * sensor.contrast + pivot, 0, 255).astype(np.uint8)
    out = cv2.LUT(picture, table.reshape(256, 1, 3))
    # One sheet of noise, rolled at random, costs a tenth of fresh numbers for each picture.
    noise = np.roll(_noise(h, w), tuple(int(v) for v in rng.integers(0, 4096, 2)), (0, 1))
    share = sensor.noise / 32
    noisy: U8 = cv2.addWeighted(out, 1.0, noise, share, -share * 128, dtype=cv2.CV_8U)
    return noisy


def coded(rgb: U8, quantiser: int) -> U8:
    """A picture (H, W, 3) as H.264 leaves it; H and W even. Raises ValueError where the codec gives no picture back."""
    buffer = io.BytesIO()
    height, width = rgb.shape[:2]
    with av.open(buffer, "w", format="h264") as clip:
        stream = clip.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"qp": str(quantiser), "preset": "ultrafast", "threads": "1"}
        clip.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        clip.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, format="h264") as clip:
        for frame in clip.decode(video=0):
            back: U8 = frame.to_ndarray(format="rgb24")
            return back
    raise ValueError(f"quantiser {quantiser}: expected one picture back from the codec, found none")


def _infrared(rgb: U8) -> U8:
    """Grey, as cameras see at night: their own lamp makes cloth and skin alike."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    h, w = grey.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    lamp = 1.25 - 0.75 * np.hypot((x - w / 2) / w, (y - h / 2) / h)
    lit = np.clip((0.55 * grey + 0.45 * rgb[..., 0]) * lamp, 0, 255).astype(np.uint8)
    return np.repeat(lit[..., None], 3, 2)


def _smear(length_px: float, degrees: float) -> npt.NDArray[np.float32]:
    """A line of this length through the middle of a kernel, from left to right at 0 degrees; it sums to 1."""
    reach = int(np.ceil(length_px / 2))
    along = np.linspace(-length_px / 2, length_px / 2, 16 * reach + 1)
    columns = np.rint(along * np.cos(np.radians(degrees))).astype(int) + reach
    rows = np.rint(along * np.sin(np.radians(degrees))).astype(int) + reach
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    np.add.at(kernel, (rows, columns), 1.0)
    whole: npt.NDArray[np.float32] = kernel / kernel.sum()
    return whole


_NOISE: dict[tuple[int, int], U8] = {}


def _noise(height: int, width: int) -> U8:
    if (height, width) not in _NOISE:
        sheet = np.random.default_rng(7).normal(128, 32, (height, width, 3))
        _NOISE[(height, width)] = sheet.clip(0, 255).astype(np.uint8)
    return _NOISE[(height, width)]


def encode_jpeg(rgb: U8, quality: int) -> bytes:
    """JPEG bytes of a picture."""
    done, data = False, np.zeros(0, np.uint8)
    if 0 not in rgb.shape:
        done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"picture of shape {rgb.shape}: expected one that JPEG can hold")
    return bytes(data)
