"""Data card: what a set of pictures holds; counts by class, size, view and light, from its manifest and annotations."""

import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from synthroom.pictures import ADULT

SIZES = ((0.0, "under 0.1 %"), (0.001, "0.1 to 0.5 %"), (0.005, "0.5 to 2 %"), (0.02, "2 to 20 %"), (0.2, "over 20 %"))
"""Least share of the picture's area that a box of each size covers."""

Card = dict[str, object]


def size_name(share: float) -> str:
    """Name of the size of a box that covers this share of its picture, 0..1."""
    return [name for least, name in SIZES if share >= least][-1]


def data_card(folder: Path) -> Card:
    """Count a data set: pictures, rooms, views, light, labels by class and size, difficult ones, adults, hard negatives.

    Raises ValueError for a folder without a manifest.
    """
    manifest_path = folder / "manifest.json"
    if not manifest_path.is_file():
        raise ValueError(f"{manifest_path}: not there, expected the folder of a data set that was drawn")
    manifest = json.loads(manifest_path.read_text())
    rows = manifest["pictures"]
    sizes: dict[str, Counter[str]] = {}
    difficult, shares = Counter[str](), list[float]()
    for row in rows:
        for name, share, unsure in _objects(folder / "Annotations" / f"{row['name']}.xml"):
            if unsure:
                difficult[name] += 1
            else:
                sizes.setdefault(name, Counter())[size_name(share)] += 1
                shares += [share] if name != ADULT else []
    return {
        "split": manifest["split"],
        "recipe": manifest["recipe"],
        "pictures": len(rows),
        "rooms": len({row["seed"] for row in rows}),
        "seeds": [min(row["seed"] for row in rows), max(row["seed"] for row in rows)] if rows else [],
        "views": _count(rows, "view"),
        "lights": _count(rows, "light"),
        "labels": {
            name: {"all": sum(c.values()), **{n: c[n] for _, n in SIZES if c[n]}} for name, c in sorted(sizes.items())
        },
        "difficult": dict(sorted(difficult.items())),
        "hard_negatives": _hard_negatives(rows),
        "least_and_greatest_share_of_picture": [round(min(shares), 5), round(max(shares), 4)] if shares else [],
    }


def _count(rows: list[dict[str, dict[str, str]]], fact: str) -> dict[str, int]:
    return dict(Counter(row.get("facts", {}).get(fact, "not stated") for row in rows).most_common())


def _hard_negatives(rows: list[dict[str, dict[str, int]]]) -> int | None:
    """None where the set's makers did not count them."""
    counted = [row["facts"]["hard"] for row in rows if "hard" in row.get("facts", {})]
    return sum(counted) if counted or not rows else None


def _objects(annotation: Path) -> list[tuple[str, float, bool]]:
    """Name, share of the picture's area and difficulty of each object."""
    root = ET.parse(annotation).getroot()  # noqa: S314 - our own files
    area = int(root.findtext("size/width", "0")) * int(root.findtext("size/height", "0"))
    out = []
    for item in root.iter("object"):
        x0, y0, x1, y1 = (int(item.findtext(f"bndbox/{key}", "0")) for key in ("xmin", "ymin", "xmax", "ymax"))
        share = (x1 - x0 + 1) * (y1 - y0 + 1) / area
        out.append((item.findtext("name", ""), share, item.findtext("difficult") == "1"))
    return out


def as_markdown(cards: list[Card]) -> str:
    """Several sets' cards as one table, a set a column."""
    rows = {
        "pictures (rooms)": [f"{c['pictures']} ({c['rooms']})" for c in cards],
        "seeds": ["{} to {}".format(*seeds) if (seeds := _listed(c["seeds"])) else "" for c in cards],
        "hard negatives": ["not counted" if (n := c["hard_negatives"]) is None else str(n) for c in cards],
        "share of the picture, least to greatest": [
            f"{100 * s[0]:.3f} to {100 * s[1]:.0f} %"
            if (s := _listed(c["least_and_greatest_share_of_picture"]))
            else ""
            for c in cards
        ],
    }
    for key in ("views", "lights", "difficult"):
        names = sorted({name for c in cards for name in _table(c[key])})
        rows |= {f"{key}: {name}": [str(_table(c[key]).get(name, 0)) for c in cards] for name in names}
    for label in sorted({name for c in cards for name in _table(c["labels"])}):
        for size in ("all", *(name for _, name in SIZES)):
            rows[f"{label}, {size}"] = [str(_table(_table(c["labels"]).get(label, {})).get(size, 0)) for c in cards]
    lines = [
        "| | " + " | ".join(f"{c['split']}, {_made_by(c['recipe'])}" for c in cards) + " |",
        "|---" * (len(cards) + 1) + "|",
    ]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())]) + "\n"


def _made_by(recipe: object) -> str:
    return recipe if isinstance(recipe, str) else f"recipe {recipe}"


def _listed(value: object) -> list[float]:
    return value if isinstance(value, list) else []


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
