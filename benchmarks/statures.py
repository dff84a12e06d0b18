"""Question: how tall are the people that synthroom draws, beside the children of the WHO's growth reference.

64 bodies of each age with one seed, as they stand at rest, with shoes and without hair: as they are drawn for training, and
as the frozen exams have them. Usage: statures.py; needs the extra `synth`. Writes results/statures.json.
"""

from typing import Any

import numpy as np
from measured import write_result
from numpy.typing import NDArray

from synthroom.bodies import body_model, shapes
from synthroom.growth import FEMALE_FROM, calibrated_phenotypes
from synthroom.people import frozen_phenotypes
from synthroom.rotations import Array

BODIES = 64
WHO_BOYS_CM = {6: 116.0, 10: 137.8, 14: 163.2, 18: 176.1}
WHO_GIRLS_CM = {6: 115.1, 10: 138.6, 14: 159.8, 18: 163.1}
"""Medians of the WHO growth reference for 5 to 19 years (2007), height for age."""


def statures_cm(phenotypes: dict[str, Array]) -> NDArray[np.float64]:
    """How tall people of these sliders are."""
    layers = body_model().layers
    drawn = np.unique(
        np.concatenate([layer.vertices for name, layer in layers.items() if name not in ("hair", "scalp")])
    )
    heights = [float(np.ptp(shape.vertices[drawn, 2])) for shape in shapes(phenotypes)]
    return 100 * np.array(heights)


def by_gender(phenotypes: dict[str, Array]) -> dict[str, dict[str, float]]:
    """Statures of boys and of girls, as the body model tells them apart."""
    values_cm, female = statures_cm(phenotypes), phenotypes["gender"] >= FEMALE_FROM
    return {"boys_cm": told(values_cm[~female]), "girls_cm": told(values_cm[female])}


def told(values_cm: NDArray[np.float64]) -> dict[str, float]:
    """Median, mean, deviation, least and most, to the centimetre."""
    kinds = {"median": np.median, "mean": np.mean, "deviation": np.std, "least": np.min, "most": np.max}
    return {name: float(round(of(values_cm))) for name, of in kinds.items()}


def main() -> None:
    """Measure each age."""
    rng, rows = np.random.default_rng(0), dict[str, Any]()
    for years, boys_cm in WHO_BOYS_CM.items():
        ages = np.full(BODIES, float(years))
        rows[str(years)] = {
            "training": by_gender(calibrated_phenotypes(rng, ages)),
            "frozen_exams": by_gender(frozen_phenotypes(rng, ages)),
            "who_boys_cm": boys_cm,
            "who_girls_cm": WHO_GIRLS_CM[years],
        }
    write_result("statures", {"bodies": BODIES, "years": rows})


if __name__ == "__main__":
    main()
