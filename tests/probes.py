"""What tests share that ask a process for its metrics or how it is."""

import socket
import time
from collections.abc import Callable
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

WITHIN_S = 120.0


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def page(port: int, path: str) -> str:
    """What is said there, whatever the status; nothing while nobody answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.read().decode()  # type: ignore[no-any-return]
    except HTTPError as error:
        with error:
            return error.read().decode()
    except (URLError, ConnectionError):
        return ""


def wait_for_page(port: int, path: str, condition: Callable[[str], bool], alive: Callable[[], bool]) -> str:
    """The page, as soon as it is so; fails when the process ends before."""
    give_up = time.monotonic() + WITHIN_S
    while not condition(found := page(port, path)):
        assert alive(), "it ended"
        assert time.monotonic() < give_up, f"{path} says {found[-300:]!r}"
        time.sleep(0.2)
    return found
