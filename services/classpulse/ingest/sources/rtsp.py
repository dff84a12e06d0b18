"""camera → ingest: a network camera over RTSP, `rtsp://host[:port]/path` (or `rtsps`), always over TCP.

The password lives in a file that only its owner may read; it is put into the URL in memory, when a connection is made.
"""

import os
from pathlib import Path
from urllib.parse import quote

import av
from av.container import InputContainer

from classpulse.errors import BadInput
from classpulse.ingest.sources.base import Address, SourceError, Wish
from classpulse.ingest.sources.container import LIMITS, READ_SLICE_MS, AvSource
from classpulse.settings import has_password, masked

PRIVATE = 0o077
MOUNTED = 0o040
"""What a cluster adds where it mounts a secret: the file is root's, and the group of the pod, which is nobody else's, may read it."""

OPTIONS = {
    "rtsp_transport": "tcp",
    "analyzeduration": "500000",  # half a second of probing: the camera's own description says what it sends
    "fpsprobesize": "0",
}


class RtspSource(AvSource):
    """A camera that is connected to, again and again, for ever."""

    def __init__(self, address: Address, wish: Wish) -> None:
        super().__init__(address, wish)
        if has_password(address.url):
            expected = "expected it in a file named by credentials_ref, and any '@' of the path as %40"
            raise BadInput([f"source = {masked(address.url)!r}: holds a password; {expected}"])

    def _connect(self, timeout_s: float) -> InputContainer:
        # `timeout` bounds each wait of the socket, in microseconds (`stimeout` is dead); the tuple bounds whole calls.
        options = {**OPTIONS, "timeout": str(int(timeout_s * 1_000_000))}
        limits = (timeout_s, READ_SLICE_MS / 1000)
        container: InputContainer = av.open(self._url(), options=options, stream_options=[LIMITS], timeout=limits)
        return container

    def _url(self) -> str:
        if self._wish.credentials_ref is None:
            return self._address.url
        user, password = read_credentials(Path(self._wish.credentials_ref))
        scheme, _, rest = self._address.url.partition("://")
        host = rest.partition("/")[0].rpartition("@")[2]
        path = rest.partition("/")[2]
        return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{host}/{path}"


def private(mode: int, *, owner: int, reader: int) -> bool:
    """Whether a file is its owner's alone, or a secret that a cluster mounted for `reader`."""
    return not mode & (PRIVATE & ~MOUNTED if owner == 0 != reader else PRIVATE)


def read_credentials(path: Path) -> tuple[str, str]:
    """(user, password) from a file of one line `user:password` that only its owner may read.

    Raises SourceError naming the file and what is wrong with it, never what is in it.
    """
    try:
        told = path.stat()
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SourceError("credentials", f"credentials_ref = {path}: {said}; expected a readable file") from None
    mode = told.st_mode & 0o777
    if not private(mode, owner=told.st_uid, reader=os.geteuid()):
        expected = "expected 0600: readable by its owner alone"
        raise SourceError("credentials", f"credentials_ref = {path}: mode {mode:04o}; {expected}")
    user, separator, password = text.strip("\r\n").partition(":")
    if not separator or not user or "\n" in password:
        raise SourceError("credentials", f"credentials_ref = {path}: no such line; expected one line user:password")
    return user, password
