"""The released model as one thing: the net's bytes and the card that says what they are.

A release is a folder with `model.onnx` and `card.json`; the one that comes with this package lies in `weights/`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from gesturedet.anchors import AnchorSpec
from gesturedet.figures import ClassFigures

MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
PACKAGED = Path(__file__).parent / "weights"


class DigestMismatch(ValueError):
    """The net's bytes are not those that the card describes."""


class Exam(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the released bytes themselves did on one frozen set of pictures."""

    pictures_from: str
    pictures: int
    behaviours: tuple[ClassFigures, ...]


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a net is, how it was made and how good it is.

    `digest`: SHA-256 of the net's file, hexadecimal; it travels with every detection. `labels`: behaviours in the order
    of their classes. `thresholds`: the least score to report, for each label. `frame_width`: how wide pictures need to be
    when they are sent. `data_seeds`: for each part of the data, what made it. `lineage`: weights it began with.
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

    def __post_init__(self) -> None:
        if tuple(self.thresholds) != self.labels:
            raise ValueError(
                f"thresholds: {list(self.thresholds)} are not the labels in their order: {list(self.labels)}"
            )
        for label, threshold in self.thresholds.items():
            if not 0.0 < threshold <= 1.0:
                raise ValueError(f"thresholds: {label} = {threshold} is not a score above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class Release:
    """A model card and the net that it was checked against."""

    card: ModelCard
    onnx_bytes: bytes


def load_release(folder: Path | None = None) -> Release:
    """Load a release and check the net against its card; without a folder, the one that comes with this package.

    Raises FileNotFoundError for an incomplete folder, ValueError for an unreadable card, DigestMismatch for other bytes
    than the card's.
    """
    folder = PACKAGED if folder is None else folder
    for file in (MODEL_FILE, CARD_FILE):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder / file}: not there, expected a folder with {MODEL_FILE} and {CARD_FILE}")
    card = read_card((folder / CARD_FILE).read_bytes(), origin=str(folder / CARD_FILE))
    onnx_bytes = (folder / MODEL_FILE).read_bytes()
    found = digest_of(onnx_bytes)
    if found != card.digest:
        raise DigestMismatch(f"{folder / MODEL_FILE}: digest expected {card.digest}, found {found}")
    return Release(card, onnx_bytes)


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
