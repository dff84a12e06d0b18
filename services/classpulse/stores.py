"""Where releases and training runs are kept: a folder, or any other storage that fsspec knows by its URL."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from classpulse.errors import BadInput, ClassPulseError, Recoverable
from classpulse.settings import has_password, masked

EXTRAS = {"s3": "s3", "s3a": "s3"}
"""Which extra of ours brings what a scheme needs."""


def store_of(url: str, *, key: str) -> tuple[Any, str]:
    """The storage of a URL and the path in it. Raises BadInput naming `key` for one that cannot be opened, or says a password."""
    if has_password(url):  # it would go where the URL goes: onto the bus, and into logs
        expected = "expected none: credentials lie where the storage's own library looks for them"
        raise BadInput([f"{key} = {masked(url)!r}: a password in the URL; {expected}"])
    try:
        # Opened anew: what a storage was refused with is not what it is asked with for ever, once somebody mended the credentials.
        store, path = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    except ImportError as error:
        extra = EXTRAS.get(url.partition("://")[0])
        expected = f"expected `pip install '.[{extra}]'`" if extra else "expected that it is installed"
        raise BadInput([f"{key} = {url!r}: {error}; {expected}"]) from error
    except ValueError as error:
        raise BadInput([f"{key} = {url!r}: {error}; expected a folder, or a URL that fsspec knows"]) from error
    return store, path.rstrip("/")


def make_folder(store: Any, path: str) -> None:
    """Where there are folders. Of a bucket's name that was mistyped, makedirs would make a bucket."""
    if not _in_bucket(path):
        store.makedirs(path, exist_ok=True)


def write_whole(store: Any, path: str, content: bytes) -> None:
    """A file that is there whole or not at all. What lies in a bucket is never half there; elsewhere a draft is moved."""
    if _in_bucket(path):
        store.pipe_file(path, content)
    else:
        draft = f"{path}.{uuid.uuid4().hex[:8]}"
        store.pipe_file(draft, content)
        store.mv(draft, path)


def _in_bucket(path: str) -> bool:
    """As fsspec writes paths: those of folders begin at a root, others with the name of a bucket."""
    return not path.startswith("/")


@contextmanager
def answering(what: str, expected: str) -> Iterator[None]:
    """Around what is asked of a storage: raises Recoverable naming `what` for whatever it does not do."""
    try:
        yield
    except ClassPulseError:
        raise
    except Exception as error:  # every storage has errors of its own: botocore's are no OSErrors
        said = " ".join(f"{type(error).__name__}: {error}".split())  # some say no more than a path, some nothing
        raise Recoverable(f"{what}: {said}; expected {expected}") from error
