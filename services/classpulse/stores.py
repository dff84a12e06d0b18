"""Where releases and training runs are kept: a folder, or any other storage that fsspec knows by its URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from classpulse.errors import BadInput, ClassPulseError, Recoverable


def store_of(url: str, *, key: str) -> tuple[Any, str]:
    """The storage of a URL and the path in it. Raises BadInput naming `key` for one that fsspec does not know."""
    try:
        store, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise BadInput([f"{key} = {url!r}: {error}; expected a folder, or a URL that fsspec knows"]) from error
    return store, path.rstrip("/")


@contextmanager
def answering(what: str, expected: str) -> Iterator[None]:
    """Around what is asked of a storage: raises Recoverable naming `what` for whatever it does not do."""
    try:
        yield
    except ClassPulseError:
        raise
    except Exception as error:  # every storage has errors of its own: botocore's are no OSErrors
        raise Recoverable(f"{what}: {error}; expected {expected}") from error
