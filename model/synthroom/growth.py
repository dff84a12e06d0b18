"""Growth: how tall, heavy and strong people of an age are, by anny's distribution, which is fitted to the WHO's references."""

import warnings
from functools import cache
from typing import Any

import numpy as np

from synthroom.bodies import body_model
from synthroom.rotations import Array

FEMALE_FROM = 0.5
"""Of anny's slider `gender`: below are boys and men."""


@cache
def _distribution() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from anny.shape_distribution import SimpleShapeDistribution  # noqa: PLC0415 - heavy

        return SimpleShapeDistribution(body_model().anny)


def calibrated_phenotypes(rng: np.random.Generator, years: Array) -> dict[str, Array]:
    """MakeHuman sliders of people of these ages; heights follow the WHO's medians within some 3 cm from 6 to 18 years."""
    import torch  # noqa: PLC0415 - heavy, and only the renderer needs it

    drawn = _distribution()
    age = drawn.morphological_age_mapping.morphological_to_anny_age(torch.as_tensor(years, dtype=torch.float32))
    gender = rng.random(len(years))
    sliders = {"age": age.numpy().astype(np.float64), "gender": gender}
    for name in ("height", "weight", "muscle", "proportions"):
        boys, girls = (
            [
                bound.numpy()
                for bound in getattr(drawn, f"{who}_conditional_{name}_distribution").get_distribution_params(age)
            ]
            for who in ("boys", "girls")
        )
        sliders[name] = np.where(gender < FEMALE_FROM, rng.beta(*boys), rng.beta(*girls))
    sliders |= {origin: rng.random(len(years)) for origin in ("african", "asian", "caucasian")}
    return sliders | {"cupsize": np.where(years > 20, 0.4, 0.0), "firmness": np.full(len(years), 0.5)}
