"""Where there is no Ray cluster one error says so within seconds, whatever else is there."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytest.importorskip("ray", reason="the fleet needs Ray (the ray extra)")

from classpulse import ray_cluster
from classpulse.errors import BadInput
from classpulse.ray_cluster import connected
from tests.ray_heads import free_port

pytestmark = pytest.mark.ray

ADDRESSES = ("127.0.0.1:{}", "ray://127.0.0.1:{}")


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a web server."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def refuse(address: str, why: str) -> None:
    with pytest.raises(BadInput, match=f"--address = '{address}': .*{why}"), connected(address):
        pass


@pytest.mark.parametrize(
    "address", ["ray://head", "ray://:10001", "ray://head:port", "head:port", "http://head:80", "ray://http://head:80"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    refuse(address, r"expected HOST:PORT of Ray's head \(6379 by default\), ray://HOST:PORT .*, or auto")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (ADDRESSES[0], "expected Ray's head .* with a node of that cluster on this machine"),
        (ADDRESSES[1], "expected the client server of Ray's head"),
    ],
)
def test_where_nobody_listens(address: str, expected: str) -> None:
    refuse(address.format(free_port()), f"Connection refused; {expected}")


@pytest.mark.parametrize("address", ADDRESSES)
def test_where_something_else_answers(address: str, web: int) -> None:
    refuse(address.format(web), "what listens there is not Ray; expected")


@pytest.mark.parametrize("address", ADDRESSES)
def test_where_something_listens_and_says_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "REACHED_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        refuse(address.format(server.getsockname()[1]), "timed out; expected")


def test_a_port_that_is_none() -> None:
    refuse("127.0.0.1:66000", "expected Ray's head")
