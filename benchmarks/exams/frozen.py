"""Exam ↔ its committed file: a folder either holds the rooms that were frozen, or it is told what differs first.

Seeds, names, order and what the seed alone decides of a truth are the same wherever an exam is drawn. The last bits of pictures
are not: those are known by their bytes or, drawn on another processor, by their looks.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.exams.looks import TOLERANCE, clip_looks, difference, picture_looks
from benchmarks.exams.table import Exam, LessonExam, PictureExam

from gesturedet.data.voc import listed_names
from synthroom.lesson import truth_path

FROZEN = Path(__file__).parent
"""Where the exams' files are committed."""
EQUAL_TRUTHS = 0.95
"""Least share of pictures whose truth is equal to the last byte: boxes are measured in pixels, and one on an edge may move by one."""
SEEN = frozenset({"visible", "box_xyxy"})
"""What a span of a lesson's truth has from pixels; all else follows from the seed."""


@dataclass(frozen=True)
class Drawn:
    """One picture or clip, the seed of its room, and SHA-256 of the file and of its truth, hexadecimal.

    Of a lesson's truth it is that of all but what was `SEEN`: its timeline.
    """

    name: str
    seed: int
    sha256: str
    truth_sha256: str


@dataclass(frozen=True)
class Piece(Drawn):
    """What is frozen of one picture or clip: what was drawn, and its looks."""

    looks: str


@dataclass(frozen=True)
class Known:
    """The exam that a folder holds: SHA-256 of its committed file, and how many `of` its pictures or clips have the frozen bytes."""

    digest: str
    byte_equal: int
    of: int


def freeze(exam: Exam, folder: Path, frozen: Path = FROZEN) -> Path:
    """Write down what the exam in `folder` is.

    Raises ValueError for one that does not hold what the table says, FileNotFoundError for one that lacks a file.
    """
    pieces = [Piece(**asdict(drawn), looks=_looks(exam, folder, drawn.name)) for drawn in _drawn(exam, folder)]
    wanted = exam.count if isinstance(exam, PictureExam) else len(exam.lengths_s)
    if len(pieces) != wanted or not pieces:
        raise ValueError(f"{folder}: holds {len(pieces)} of exam {exam.name!r}, expected {wanted}")
    rows = ",\n".join(f"  {json.dumps(asdict(piece))}" for piece in pieces)
    facts = {
        "exam": exam.name,
        **(_picture_facts(folder) if isinstance(exam, PictureExam) else _lesson_facts(exam, folder)),
        "rooms": len({piece.seed for piece in pieces}),
        "count": len(pieces),
    }
    path = frozen / f"{exam.name}.json"
    path.write_text(f'{json.dumps(facts, indent=1)[:-2]},\n "files": [\n{rows}\n ]\n}}\n')
    return path


def check(exam: Exam, folder: Path, frozen: Path = FROZEN) -> Known:
    """Return how the folder is known to be that exam.

    Raises ValueError naming the first file that differs, FileNotFoundError for an exam that is not frozen, a folder or a file
    that is not there.
    """
    path = frozen / f"{exam.name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not there, expected the hashes of exam {exam.name!r}; draw it first")
    wanted = _frozen_pieces(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, expected exam {exam.name!r}")
    odd = _other_list(wanted, _seeds(exam, folder), folder)
    drawn = [] if odd else list(_drawn(exam, folder))
    if odd := odd or _other_looks(wanted, drawn, exam, folder) or _other_truth(wanted, drawn, exam, folder):
        raise ValueError(f"{odd} (exam {exam.name!r}, {path.name})")
    equal = sum(piece.sha256 == other.sha256 for piece, other in zip(wanted, drawn, strict=True))
    return Known(hashlib.sha256(path.read_bytes()).hexdigest(), equal, len(wanted))


def _frozen_pieces(path: Path) -> list[Piece]:
    """Raises ValueError for a file of another age, whose rows have other fields."""
    expected = [field.name for field in fields(Piece)]
    rows = _json(path).get("files", [])
    for row in rows:
        if sorted(row) != sorted(expected):
            told = f"a row with the fields {', '.join(row)}, expected {', '.join(expected)}"
            raise ValueError(f"{path}: {told}; delete it and freeze the exam anew")
    return [Piece(**row) for row in rows]


def _other_list(wanted: Sequence[Piece], seeds: Mapping[str, int], folder: Path) -> str | None:
    found = list(seeds)
    for place, piece in enumerate(wanted):
        if place >= len(found) or found[place] != piece.name:
            have = f"found {found[place]!r}" if place < len(found) else "the list ends"
            return f"{folder}: {have} at place {place + 1}, expected {piece.name!r}"
        if seeds[piece.name] != piece.seed:
            return f"{folder}: seed of {piece.name!r} is {seeds[piece.name]}, expected {piece.seed}"
    if len(found) > len(wanted):
        return f"{folder}: holds {found[len(wanted)]!r}, expected nothing after {len(wanted)} pieces"
    return None


def _other_looks(wanted: Sequence[Piece], drawn: Sequence[Drawn], exam: Exam, folder: Path) -> str | None:
    for piece, other in zip(wanted, drawn, strict=True):
        if piece.sha256 == other.sha256:
            continue
        if (apart := difference(piece.looks, _looks(exam, folder, piece.name))) > TOLERANCE:
            file, _ = _files(exam, folder, piece.name)
            return f"{file}: looks {apart} of 255 away from what was frozen, expected at most {TOLERANCE}"
    return None


def _other_truth(wanted: Sequence[Piece], drawn: Sequence[Drawn], exam: Exam, folder: Path) -> str | None:
    least = EQUAL_TRUTHS if isinstance(exam, PictureExam) else 1.0
    odd = [one for one, other in zip(wanted, drawn, strict=True) if one.truth_sha256 != other.truth_sha256]
    if len(wanted) - len(odd) >= least * len(wanted):
        return None
    _, file = _files(exam, folder, odd[0].name)
    return f"{file}: the first of {len(odd)} truths that differ, expected {least:.0%} of {len(wanted)} to be equal"


def _drawn(exam: Exam, folder: Path) -> Iterator[Drawn]:
    """What lies in a folder, in the order in which it is examined. Raises FileNotFoundError for what is not whole."""
    for name, seed in _seeds(exam, folder).items():
        file, truth = _files(exam, folder, name)
        yield Drawn(name, seed, _sha256(_there(file).read_bytes()), _sha256(_seeded(exam, _there(truth))))


def _looks(exam: Exam, folder: Path, name: str) -> str:
    file, _ = _files(exam, folder, name)
    return picture_looks(file) if isinstance(exam, PictureExam) else clip_looks(file)


def _seeded(exam: Exam, truth: Path) -> bytes:
    """What is frozen of a truth: all of a picture's, of a lesson's what follows from its seed."""
    if isinstance(exam, PictureExam):
        return truth.read_bytes()
    lesson = _json(truth)
    spans = [{key: value for key, value in span.items() if key not in SEEN} for span in lesson.get("spans", [])]
    return json.dumps({**lesson, "spans": spans}, sort_keys=True).encode()


def _files(exam: Exam, folder: Path, name: str) -> tuple[Path, Path]:
    """Where a piece and its truth lie."""
    if isinstance(exam, PictureExam):
        return folder / "JPEGImages" / f"{name}.jpg", folder / "Annotations" / f"{name}.xml"
    clip = folder / f"{name}.mp4"
    return clip, truth_path(clip)


def _seeds(exam: Exam, folder: Path) -> dict[str, int]:
    """Every piece's name and its room's seed, in order; -1 for one that nobody tells."""
    if isinstance(exam, LessonExam):
        return _lesson_seeds(folder)
    told = _picture_seeds(folder)
    return {name: told.get(name, -1) for name in listed_names(folder, exam.name)}


def _picture_seeds(folder: Path) -> dict[str, int]:
    return {row["name"]: row["seed"] for row in _json(folder / "manifest.json").get("pictures", [])}


def _lesson_seeds(folder: Path) -> dict[str, int]:
    clips = sorted(folder.glob("*.mp4"))
    return {clip.stem: _json(_there(truth_path(clip))).get("seed", -1) for clip in clips}


def _picture_facts(folder: Path) -> dict[str, Any]:
    made = _json(folder / "manifest.json")
    return {
        "recipe": made["recipe"],
        "size_wh": [made["width"], made["height"]],
        "objects": made["counts"],
        "adults": sum(len(row["adults"]) for row in made["pictures"]),
        "look_alikes": sum(row.get("facts", {}).get("hard", 0) for row in made["pictures"]),
    }


def _lesson_facts(exam: LessonExam, folder: Path) -> dict[str, Any]:
    told = [_json(truth_path(folder / f"{name}.mp4")) for name in _lesson_seeds(folder)]
    gestures = Counter(span["behaviour"] for one in told for span in one["spans"] if span["visible"])
    return {
        "recipe": sorted({one["recipe"] for one in told}),
        "fps": exam.fps,
        "seconds": sum(one["duration_ms"] for one in told) / 1000,
        "pupils": [one["pupils"] for one in told],
        "visible_gestures": dict(sorted(gestures.items())),
    }


def _json(path: Path) -> dict[str, Any]:
    """A JSON file's object; an empty one where there is no file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}, expected JSON") from error
    return found if isinstance(found, dict) else {}


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not there, expected it with the rest of its exam")
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
