"""The released model as one thing: the net's bytes and the card that says what they are.

A release is a folder with `model.onnx` and `card.json`; those that come with this package lie in `weights/`, each in a
folder of its name.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from gesturedet.anchors import AnchorSpec
from gesturedet.calibration import NET_SCORES, Calibration, CalibrationError, ScoreCurve
from gesturedet.figures import ClassFigures
from gesturedet.whole_files import partial_of

MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
WEIGHTS = Path(__file__).parent / "weights"
PACKAGED = WEIGHTS / "classroom"
"""What is meant where no release is named."""


class DigestMismatch(ValueError):
    """The net's bytes are not those that the card describes."""


class Exam(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the released bytes themselves did on one frozen set of pictures."""

    pictures_from: str
    pictures: int
    behaviours: tuple[ClassFigures, ...]
    calibration_error: CalibrationError | None = None


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a net is, how it was made and how good it is.

    `digest`: SHA-256 of the net's file, hexadecimal; it travels with every detection. `labels`: behaviours in the order
    of their classes. `thresholds`: the least score to report, for each label, in calibrated scores. `frame_width`: how
    wide pictures need to be when they are sent. `data_seeds`: for each part of the data, what made it. `lineage`: weights
    it began with. `unpublished`: labels that the net was taught for its own sake, such as adults beside pupils, and that
    no caller sees. `calibration`: what scores mean; without it they are the net's own.
    """

    name: str
    digest: str
    precision: Literal["fp32", "int8"]
    labels: tuple[str, ...]
    input_hw: tuple[int, int]
    frame_width: int
    thresholds: dict[str, float]
    nms_iou: float
    anchors: AnchorSpec
    data_seeds: dict[str, str]
    recipe: dict[str, Any]
    lineage: tuple[str, ...]
    exams: tuple[Exam, ...]
    unpublished: tuple[str, ...] = ()
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if tuple(self.thresholds) != self.labels:
            raise ValueError(
                f"thresholds: {list(self.thresholds)} are not the labels in their order: {list(self.labels)}"
            )
        for label, threshold in self.thresholds.items():
            if not 0.0 < threshold <= 1.0:
                raise ValueError(f"thresholds: {label} = {threshold} is not a score above 0 and at most 1")
        if unknown := set(self.unpublished) - set(self.labels):
            raise ValueError(f"unpublished: {sorted(unknown)} are none of the labels {list(self.labels)}")
        if unknown := set(self.curves) - set(self.labels):
            raise ValueError(f"calibration: {sorted(unknown)} are none of the labels {list(self.labels)}")
        if not self.published:
            raise ValueError(f"unpublished: {list(self.unpublished)} are all labels, expected one that is published")

    @property
    def published(self) -> tuple[str, ...]:
        """The behaviours that a caller may see, in the order of their classes."""
        return tuple(label for label in self.labels if label not in self.unpublished)

    @property
    def curves(self) -> Mapping[str, ScoreCurve]:
        """What the net's scores mean, for each label where that is known."""
        return NET_SCORES if self.calibration is None else self.calibration.curves


@dataclass(frozen=True, slots=True)
class Release:
    """A model card and the net that it was checked against."""

    card: ModelCard
    onnx_bytes: bytes


def released_names() -> tuple[str, ...]:
    """Return the names of the releases that come with this package."""
    return tuple(sorted(path.parent.name for path in WEIGHTS.glob(f"*/{CARD_FILE}")))


def find_release(model: str | Path) -> Release:
    """Load a release by its name, its folder, or its ONNX file with the card beside it; a name goes before a folder.

    Raises TypeError for what is neither text nor a path, FileNotFoundError naming the releases there are, and what
    `load_release` raises.
    """
    if not isinstance(model, str | Path):
        raise TypeError(
            f"model: {model!r} is no text and no path, expected one of {', '.join(released_names())}, a folder or an .onnx file"
        )
    if model in released_names():
        return load_release(WEIGHTS / model)
    path = Path(model)
    if path.is_dir():
        return load_release(path)
    if path.suffix == ".onnx":
        return load_release(path.parent, model_file=path.name)
    raise FileNotFoundError(
        f"model: {str(model)!r} is none of the released models ({', '.join(released_names())}), no folder and no .onnx file"
    )


def load_release(folder: Path | None = None, *, model_file: str = MODEL_FILE) -> Release:
    """Load a release and check the net against its card; without a folder, the one named `classroom` of this package.

    Raises FileNotFoundError for an incomplete folder, ValueError for an unreadable card, DigestMismatch for other bytes
    than the card's.
    """
    folder = PACKAGED if folder is None else folder
    for file in (model_file, CARD_FILE):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder / file}: not there, expected a folder with {model_file} and {CARD_FILE}")
    onnx_bytes = (folder / model_file).read_bytes()
    found = digest_of(onnx_bytes)
    card = _card_in(folder, found)
    if found != card.digest:
        raise DigestMismatch(f"{folder / model_file}: digest expected {card.digest}, found {found}")
    return Release(card, onnx_bytes)


def _card_in(folder: Path, digest: str) -> ModelCard:
    """Return the card of a folder, or the newer one beside it that a kill kept from its place, if that is the net's."""
    path = folder / CARD_FILE
    card, newer = read_card(path.read_bytes(), origin=str(path)), partial_of(path)
    if card.digest == digest or not newer.is_file():
        return card
    with suppress(ValueError):
        left = read_card(newer.read_bytes(), origin=str(newer))
        card = left if left.digest == digest else card
    return card


def read_card(text: bytes, *, origin: str) -> ModelCard:
    """Read a card. Raises ValueError naming `origin` and the first fault."""
    try:
        return msgspec.json.decode(text, type=ModelCard)
    except msgspec.DecodeError as error:
        raise ValueError(f"{origin}: no model card: {error}") from error


def write_card(card: ModelCard) -> bytes:
    """Write a card as people read it: one field a line."""
    return msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"


def digest_of(onnx_bytes: bytes) -> str:
    """Return the SHA-256 of a net's bytes, hexadecimal."""
    return hashlib.sha256(onnx_bytes).hexdigest()
