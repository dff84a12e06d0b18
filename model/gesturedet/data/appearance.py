"""Appearance mixed: a picture seen through random filters, so that colour and texture stop being what a class is known by.

Random convolutions (Xu et al., ICLR 2021, "Robust and Generalizable Visual Representation Learning via Random Convolutions")
keep shapes and destroy the local look; mixed with the picture itself by a random share (its section 3.2, RC mix).
"""

import cv2
import numpy as np

from gesturedet.data.voc import Picture

_SIDES = (1, 3, 5)


def random_convolution(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture (H, W, 3) mixed with itself through one random filter, which is as rich in contrast as the picture."""
    side = _SIDES[int(rng.integers(len(_SIDES)))]
    kernels = rng.normal(0.0, 1.0 / np.sqrt(3 * side * side), (3, 3, side, side)).astype(np.float32)
    centred = picture.astype(np.float32) - np.float32(picture.mean())
    filtered = np.zeros_like(centred)
    for out, into in np.ndindex(3, 3):
        filtered[..., out] += cv2.filter2D(centred[..., into], cv2.CV_32F, kernels[out, into])
    filtered *= centred.std() / max(float(filtered.std()), 1e-6)
    share = np.float32(rng.uniform(0.0, 1.0))
    mixed = centred * (1 - share) + filtered * share + np.float32(picture.mean())
    changed: Picture = mixed.clip(0, 255).astype(np.uint8)
    return changed
