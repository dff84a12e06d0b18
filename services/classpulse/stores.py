"""Where releases and training runs are kept: a folder, or any other storage that fsspec knows by its URL."""

from typing import Any

import fsspec

from classpulse.errors import BadInput


def store_of(url: str, *, key: str) -> tuple[Any, str]:
    """The storage of a URL and the path in it. Raises BadInput naming `key` for one that fsspec does not know."""
    try:
        store, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise BadInput([f"{key} = {url!r}: {error}; expected a folder, or a URL that fsspec knows"]) from error
    return store, path.rstrip("/")
