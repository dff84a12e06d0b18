"""An examination's figures → the tables of docs/detector.md."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]


def as_markdown(examined: Figures) -> str:
    """Every table that has rows, with its heading."""
    parts = [part for release in examined["releases"] for part in _release(release)]
    losses = [
        [name, _number(row["points"], 2), _interval(row["interval"], 2)]
        for loss in examined["losses"]
        for name, row in loss["map50"].items()
    ]
    if losses:
        parts.append("**Loss of mAP from the first release to the other, points, paired**\n")
        parts.append(table(("exam", "points lost", "95 % by room"), losses))
    redrawn = {name: known for name, known in examined["exams"].items() if known["byte_equal"] < known["of"]}
    if redrawn:
        equal = ", ".join(f"{name} {known['byte_equal']} of {known['of']}" for name, known in redrawn.items())
        parts.append(f"The same rooms as frozen, byte for byte equal: {equal}.\n")
    if examined["not_sat"]:
        parts.append(f"Not drawn, so not measured: {', '.join(examined['not_sat'])}.\n")
    return "\n".join(parts)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others numbers."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _release(release: Figures) -> list[str]:
    figures = release["figures"]
    pictures = {name: found for name, found in figures.items() if "map50" in found}
    parts = [f"### {release['model']}, {release['precision']} (`{release['digest'][:12]}`)\n"]
    if pictures:
        parts += [_precisions(pictures), _errors(pictures), _sizes(pictures)]
    for name, found in figures.items():
        if name not in pictures:
            parts.append(_quiet(found) if "hours" in found else _events(found))
    return parts


def _precisions(pictures: Mapping[str, Figures]) -> str:
    heads = (
        "exam, behaviour",
        "objects",
        "AP50",
        "95 %",
        "AP30",
        "95 %",
        "score",
        "precision",
        "95 %",
        "recall",
        "95 %",
    )
    rows = []
    for name, found in pictures.items():
        size = f"{found['pictures']} pictures, {found['rooms']} rooms"
        objects = sum(row["truths"] for row in found["behaviours"])
        whole = (_number(found["map50"]), _interval(found["map50_interval"]))
        rows.append([f"**{name}**, {size}: mean", str(objects), *whole, *[""] * 7])
        for row in found["behaviours"]:
            cells = [_with_interval(row, key) for key in ("ap50", "ap30")]
            rates = [_with_interval(row, key) for key in ("precision", "recall")]
            score = _number(row["threshold"], 2)
            rows.append([row["behaviour"], str(row["truths"]), *cells[0], *cells[1], score, *rates[0], *rates[1]])
    return table(heads, rows)


def _errors(pictures: Mapping[str, Figures]) -> str:
    heads = ("exam", "false alarms", "on adults", "a picture", "95 %", "calibration error", "95 %", "detections")
    rows = []
    for name, found in pictures.items():
        alarms, scores = found["false_alarms"], found["calibration"]
        counts = [str(alarms["all"]), str(alarms["on_adults"])]
        rows.append(
            [
                name,
                *counts,
                *_with_interval(alarms, "per_picture"),
                *_with_interval(scores, "error"),
                str(scores["detections"]),
            ]
        )
    return table(heads, rows)


def _sizes(pictures: Mapping[str, Figures]) -> str:
    rows = [
        [f"{name}, {row['behaviour']}, {row['size']}", str(row["truths"])]
        + [cell for key in ("ap50", "recall") for cell in _with_interval(row, key)]
        for name, found in pictures.items()
        for row in found["sizes"]
    ]
    return table(("exam, behaviour, share of picture", "objects", "AP50", "95 %", "recall", "95 %"), rows)


def _events(found: Figures) -> str:
    heads = (
        f"{found['lessons']} lessons, events",
        "true",
        "found",
        "false",
        "precision",
        "95 %",
        "recall",
        "95 %",
        "F1",
        "95 %",
    )
    rows = [
        [row["behaviour"], str(row["true"]), str(row["found"]), str(row["false"])]
        + [cell for key in ("precision", "recall", "f1") for cell in _with_interval(row, key)]
        for row in found["behaviours"]
    ]
    sizes = [
        [f"{row['behaviour']}, {row['size']}", str(row["true"]), str(row["found"]), *_with_interval(row, "recall")]
        for row in found["sizes"]
    ]
    return f"{table(heads, rows)}\n{table(('share of picture', 'true', 'found', 'recall', '95 %'), sizes)}"


def _quiet(found: Figures) -> str:
    told = {"all": found, **found["behaviours"]}
    rows = [[name, str(row["false"]), *_with_interval(row, "per_room_hour", 2)] for name, row in told.items()]
    hours = f"{found['lessons']} lessons, {found['hours']:.2f} h without gestures"
    return table((hours, "false events", "a room and hour", "95 %"), rows)


def _with_interval(row: Figures, key: str, digits: int = 3) -> list[str]:
    return [_number(row[key], digits), _interval(row[f"{key}_interval"], digits)]


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _interval(values: Sequence[float] | None, digits: int = 3) -> str:
    return "-" if values is None else f"{values[0]:.{digits}f} to {values[1]:.{digits}f}"
