"""Question: how tall are the people that synthroom draws, beside the children of the WHO's growth reference.

64 bodies of each age with one seed, as they stand at rest, with shoes and without hair. `low` are bodies whose gender is below
0.5, which is the body model's male half. Usage: statures.py; needs the extra `synth`. Writes results/statures.json.
"""

from typing import Any

import numpy as np
from measured import write_result
from numpy.typing import NDArray

from synthroom.bodies import body_model, shapes
from synthroom.people import draw_phenotypes

BODIES = 64
WHO_BOYS_CM = {6: 116.0, 10: 137.8, 14: 163.2, 18: 176.1}
WHO_GIRLS_CM = {6: 115.1, 10: 138.6, 14: 159.8, 18: 163.1}
"""Medians of the WHO growth reference for 5 to 19 years (2007), height for age."""


def statures_cm(years: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How tall so many people of an age are, and whose gender is below 0.5."""
    phenotypes = draw_phenotypes(rng, np.full(BODIES, years))
    layers = body_model().layers
    drawn = np.unique(
        np.concatenate([layer.vertices for name, layer in layers.items() if name not in ("hair", "scalp")])
    )
    heights = [float(np.ptp(shape.vertices[drawn, 2])) for shape in shapes(phenotypes)]
    return 100 * np.array(heights), phenotypes["gender"] < 0.5


def told(values_cm: NDArray[np.float64]) -> dict[str, float]:
    """Median, mean, deviation, least and most, to the centimetre."""
    kinds = {"median": np.median, "mean": np.mean, "deviation": np.std, "least": np.min, "most": np.max}
    return {name: float(round(of(values_cm))) for name, of in kinds.items()}


def main() -> None:
    """Measure each age."""
    rng, rows = np.random.default_rng(0), dict[str, Any]()
    for years, boys_cm in WHO_BOYS_CM.items():
        values_cm, low = statures_cm(years, rng)
        rows[str(years)] = {
            "all_cm": told(values_cm),
            "low_cm": told(values_cm[low]),
            "high_cm": told(values_cm[~low]),
            "who_boys_cm": boys_cm,
            "who_girls_cm": WHO_GIRLS_CM[years],
        }
    write_result("statures", {"bodies": BODIES, "years": rows})


if __name__ == "__main__":
    main()
