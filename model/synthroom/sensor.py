"""Sensor: what a classroom camera makes of light; softness, colour cast, noise, poor resolution, JPEG."""

import cv2
import numpy as np

from synthroom.renderer import U8


def expose(rgb: U8, rng: np.random.Generator) -> U8:
    """Make a rendered picture (H, W, 3) look taken: exposure, cast, blur, sometimes low resolution, noise."""
    h, w = rgb.shape[:2]
    picture = rgb
    if rng.random() < 0.25:  # a cheap camera: fewer true pixels than it sends
        share = rng.uniform(0.55, 0.9)
        picture = cv2.resize(picture, (int(w * share), int(h * share)), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR)
    picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.35, 0.95)))
    gain = rng.uniform(0.92, 1.06, 3) * float(np.clip(rng.uniform(90, 145) / max(picture.mean(), 1), 0.7, 1.7))
    contrast, pivot = rng.uniform(0.9, 1.35), 110.0
    steps = np.arange(256)[:, None] * gain[None]
    table = np.clip((steps - pivot) * contrast + pivot, 0, 255).astype(np.uint8)
    out = cv2.LUT(picture, table.reshape(256, 1, 3))
    sigma = float(rng.uniform(0.5, 5.5))
    # One sheet of noise, rolled at random, costs a tenth of fresh numbers for each picture.
    noise = np.roll(_noise(h, w), tuple(int(v) for v in rng.integers(0, 4096, 2)), (0, 1))
    noisy: U8 = cv2.addWeighted(out, 1.0, noise, sigma / 32, -sigma / 32 * 128, dtype=cv2.CV_8U)
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
