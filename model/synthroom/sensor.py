"""Sensor: what a classroom camera makes of light; softness, colour cast, noise, poor resolution, JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np

from synthroom.renderer import U8


@dataclass(frozen=True)
class Sensor:
    """A camera's electronics: share of true pixels, blur in pixels, colour cast, brightness aimed at, contrast, noise."""

    pixels: float
    blur_px: float
    cast: tuple[float, float, float]
    brightness: float
    contrast: float
    noise: float


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """Draw a classroom camera's electronics."""
    pixels = float(rng.uniform(0.55, 0.9)) if rng.random() < 0.25 else 1.0
    blur = float(rng.uniform(0.35, 0.95))
    cast = rng.uniform(0.92, 1.06, 3)
    brightness, contrast = float(rng.uniform(90, 145)), float(rng.uniform(0.9, 1.35))
    return Sensor(
        pixels=pixels,
        blur_px=blur,
        cast=(float(cast[0]), float(cast[1]), float(cast[2])),
        brightness=brightness,
        contrast=contrast,
        noise=float(rng.uniform(0.5, 5.5)),
    )


def expose(rgb: U8, sensor: Sensor, rng: np.random.Generator, *, mean: float | None = None) -> U8:
    """Make a rendered picture (H, W, 3) look taken; `mean` fixes the brightness that is taken as given."""
    h, w = rgb.shape[:2]
    picture = rgb
    if sensor.pixels < 1:  # a cheap camera: fewer true pixels than it sends
        small = (int(w * sensor.pixels), int(h * sensor.pixels))
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR)
    picture = cv2.GaussianBlur(picture, (0, 0), sensor.blur_px)
    given = float(picture.mean()) if mean is None else mean
    gain = np.array(sensor.cast) * float(np.clip(sensor.brightness / max(given, 1), 0.7, 1.7))
    pivot = 110.0
    steps = np.arange(256)[:, None] * gain[None]
    table = np.clip((steps - pivot) * sensor.contrast + pivot, 0, 255).astype(np.uint8)
    out = cv2.LUT(picture, table.reshape(256, 1, 3))
    # One sheet of noise, rolled at random, costs a tenth of fresh numbers for each picture.
    noise = np.roll(_noise(h, w), tuple(int(v) for v in rng.integers(0, 4096, 2)), (0, 1))
    share = sensor.noise / 32
    noisy: U8 = cv2.addWeighted(out, 1.0, noise, share, -share * 128, dtype=cv2.CV_8U)
    return noisy


_NOISE: dict[tuple[int, int], U8] = {}


def _noise(height: int, width: int) -> U8:
    if (height, width) not in _NOISE:
        sheet = np.random.default_rng(7).normal(128, 32, (height, width, 3))
        _NOISE[(height, width)] = sheet.clip(0, 255).astype(np.uint8)
    return _NOISE[(height, width)]


def encode_jpeg(rgb: U8, quality: int) -> bytes:
    """JPEG bytes of a picture."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"picture of shape {rgb.shape}: expected one that JPEG can hold")
    return bytes(data)
