"""The camera's own faults: exposure, tone, colour cast, blur, noise. Linear light in, 8-bit RGB out."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from benchmarks.exams.shift.fields import F32

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Film:
    """`stops` over (under) what a meter says, `grain` as standard deviation of read noise, `blur` in pixels."""

    stops: float
    grain: float
    blur: float
    cast: tuple[float, float, float]
    contrast: float
    saturation: float
    vignette: float
    quality: int


def draw_film(rng: np.random.Generator) -> Film:
    """Mostly a fair camera, sometimes too dark or burnt out."""
    kind = str(rng.choice(["fair", "dark", "burnt", "grey"], p=[0.72, 0.13, 0.11, 0.04]))
    stops = {
        "fair": rng.normal(0, 0.3),
        "dark": rng.uniform(-2.3, -1.1),
        "burnt": rng.uniform(0.8, 1.6),
        "grey": rng.normal(-0.5, 0.4),
    }
    red, green, blue = np.exp(rng.normal(0, 0.06, 3))
    return Film(
        stops=float(stops[kind]),
        grain=float(rng.uniform(0.002, 0.01) * (2.2 if kind in ("dark", "grey") else 1)),
        blur=float(rng.choice([0, rng.uniform(0.4, 1.1)])),
        cast=(float(red), float(green), float(blue)),
        contrast=float(rng.uniform(1.0, 1.45)),
        saturation=0.0 if kind == "grey" else float(rng.uniform(0.65, 1.1)),
        vignette=float(rng.uniform(0, 0.35)),
        quality=int(rng.integers(55, 95)),
    )


def developed(linear: F32, film: Film, rng: np.random.Generator) -> U8:
    """Turn linear light into a picture."""
    height, width = linear.shape[:2]
    grey = linear.mean(axis=2)
    scale = 0.17 / max(float(np.exp(np.log(grey + 1e-4).mean())), 1e-5) * 2**film.stops
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    dimmed = 1 - film.vignette * (x * x + y * y) / 2
    light: F32 = (linear * scale * np.array(film.cast) * dimmed[..., None]).astype(np.float32)
    if film.blur:
        light = cv2.GaussianBlur(light, (0, 0), film.blur)
    grains = 0.5 * rng.normal(0, 1, light.shape) + 0.8 * rng.normal(0, 1, (height, width, 1))
    light = light + (grains * np.sqrt(film.grain**2 + np.maximum(light, 0) * film.grain * 0.04)).astype(np.float32)
    toned = _tone(np.maximum(light, 0), film.contrast)
    mean = toned.mean(axis=2, keepdims=True)
    result: U8 = np.clip((mean + (toned - mean) * film.saturation) * 255 + 0.5, 0, 255).astype(np.uint8)
    return result


def _tone(light: F32, contrast: float) -> F32:
    """A film's curve: straight in the middle, soft towards white."""
    rolled = light * (1 + light / 9) / (1 + light * 0.9)
    curve: F32 = np.clip(rolled, 0, 1) ** np.float32(contrast / 2.2)
    return curve


def encode_jpeg(rgb: U8, quality: int) -> bytes:
    """Compress a picture; raises ValueError where that fails."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"picture of shape {rgb.shape}: expected one that JPEG can hold")
    return data.tobytes()
