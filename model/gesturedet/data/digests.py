"""Pictures → what tells them from others: a digest of each file, and one of a whole set with its truth."""

import hashlib
from collections.abc import Iterable, Mapping

from gesturedet.data.voc import LabelledPicture


def file_digests(pictures: Iterable[LabelledPicture]) -> dict[str, str]:
    """SHA-256 of each picture's file, hexadecimal → its path. Raises OSError for a file that cannot be read."""
    return {hashlib.sha256(picture.path.read_bytes()).hexdigest(): str(picture.path) for picture in pictures}


def set_digest(pictures: Iterable[LabelledPicture]) -> str:
    """SHA-256 over the pictures' bytes and their truth, in whatever order they come. Raises OSError."""
    each = sorted(hashlib.sha256(_bytes_of(picture)).digest() for picture in pictures)
    return hashlib.sha256(b"".join(each)).hexdigest()


def shared(first: Mapping[str, str], second: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which files of two sets, given by `file_digests`, are the same: the paths in the one and in the other."""
    return [(first[digest], second[digest]) for digest in sorted(first.keys() & second.keys())]


def _bytes_of(picture: LabelledPicture) -> bytes:
    truth = picture.truth
    parts = (truth.boxes_xyxy, truth.class_ids, truth.ignored)
    return hashlib.sha256(picture.path.read_bytes()).digest() + b"".join(part.tobytes() for part in parts)
