"""Exam ↔ its committed hashes: a folder either is the exam, byte for byte, or it is told what differs first."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.exams.table import Exam, LessonExam, PictureExam

from gesturedet.data.voc import listed_names
from synthroom.lesson import truth_path

FROZEN = Path(__file__).parent
"""Where the hashes are committed."""


@dataclass(frozen=True)
class Piece:
    """One picture or clip, the seed of its room, and SHA-256 of the file and of its truth, hexadecimal."""

    name: str
    seed: int
    sha256: str
    truth_sha256: str


def freeze(exam: Exam, folder: Path, frozen: Path = FROZEN) -> Path:
    """Write down what the exam in `folder` is. Raises ValueError for one that does not hold what the table says."""
    pieces = list(_pieces(exam, folder))
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


def check(exam: Exam, folder: Path, frozen: Path = FROZEN) -> str:
    """Return the SHA-256 of the committed hashes if the folder is that exam.

    Raises ValueError naming the first file that differs, FileNotFoundError for an exam that is not frozen or a folder that
    is not there.
    """
    path = frozen / f"{exam.name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not there, expected the hashes of exam {exam.name!r}; draw it first")
    wanted = [Piece(**row) for row in json.loads(path.read_text("utf-8"))["files"]]
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, expected exam {exam.name!r}")
    if odd := _first_difference(wanted, list(_pieces(exam, folder)), exam, folder):
        raise ValueError(f"{odd} (exam {exam.name!r}, {path.name})")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first_difference(wanted: Sequence[Piece], found: Sequence[Piece], exam: Exam, folder: Path) -> str | None:
    for place, piece in enumerate(wanted):
        other = found[place] if place < len(found) else None
        if other is None or other.name != piece.name:
            have = "the list ends" if other is None else f"found {other.name!r}"
            return f"{folder}: {have} at place {place + 1}, expected {piece.name!r}"
        if other.seed != piece.seed:
            return f"{folder}: seed of {piece.name!r} is {other.seed}, expected {piece.seed}"
        hashes = ((piece.sha256, other.sha256), (piece.truth_sha256, other.truth_sha256))
        for file, (want, have) in zip(_files(exam, folder, piece.name), hashes, strict=True):
            if want != have:
                return f"{file}: SHA-256 {have or 'of no file'}, expected {want}"
    if len(found) > len(wanted):
        return f"{folder}: holds {found[len(wanted)].name!r}, expected nothing after {len(wanted)} pieces"
    return None


def _pieces(exam: Exam, folder: Path) -> Iterator[Piece]:
    """What lies in a folder, in the order in which it is examined; a file that is not there has the hash ""."""
    seeds = _picture_seeds(folder) if isinstance(exam, PictureExam) else _lesson_seeds(folder)
    names = listed_names(folder, exam.name) if isinstance(exam, PictureExam) else list(seeds)
    for name in names:
        yield Piece(name, seeds.get(name, -1), *map(_sha256, _files(exam, folder, name)))


def _files(exam: Exam, folder: Path, name: str) -> tuple[Path, Path]:
    """Where a piece and its truth lie."""
    if isinstance(exam, PictureExam):
        return folder / "JPEGImages" / f"{name}.jpg", folder / "Annotations" / f"{name}.xml"
    clip = folder / f"{name}.mp4"
    return clip, truth_path(clip)


def _picture_seeds(folder: Path) -> dict[str, int]:
    return {row["name"]: row["seed"] for row in _json(folder / "manifest.json").get("pictures", [])}


def _lesson_seeds(folder: Path) -> dict[str, int]:
    clips = sorted(folder.glob("*.mp4"))
    return {clip.stem: _json(truth_path(clip)).get("seed", -1) for clip in clips}


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


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
