"""Bytes → files that are there whole or not at all: a kill or a full disk leaves the old ones or the new ones."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Content = bytes | memoryview


def partial_of(path: Path) -> Path:
    """Say where a file is written before it takes its place."""
    return path.with_name(f"{path.name}.partial")


def write_whole(path: Path, content: Content, *, partial: Path | None = None) -> None:
    """Write a file, and its folder where there is none.

    `partial`: instead of `partial_of`, where several processes may write the same file at once. Raises OSError naming the
    file when it cannot be written; an older one is then still there, and nothing else.
    """
    partial = partial or partial_of(path)
    with _or_nothing(path, partial):
        _write(partial, content)
        partial.replace(path)


def write_both(first: tuple[Path, Content], second: tuple[Path, Content]) -> None:
    """Write two files that mean something only together.

    A kill in the moment between them leaves the new first one in its place and the new second one at its `partial_of`:
    whoever reads them has to look there too. Raises OSError as `write_whole` does, and keeps both older ones.
    """
    partials = partial_of(first[0]), partial_of(second[0])
    with _or_nothing(second[0], partials[1]):
        _write(partials[1], second[1])
    with _or_nothing(first[0], *partials):
        _write(partials[0], first[1])
        partials[0].replace(first[0])
    partials[1].replace(second[0])


@contextmanager
def _or_nothing(path: Path, *partials: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        for partial in partials:
            with suppress(OSError):
                partial.unlink()
        raise OSError(error.errno, f"{path} cannot be written ({error.strerror}); an older one is kept") from error


def _write(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
