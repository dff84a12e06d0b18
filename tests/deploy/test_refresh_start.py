"""What starts a refresh at night: only new pictures do, never two at once, and by the rights that its role gives."""

import functools
import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import threading
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.deploy.built import K8S, named, overlay
from tests.support import require

JOBS = "/apis/ray.io/v1/namespaces/classpulse/rayjobs"
TOKEN = "of-the-account"

Given = Callable[[list[dict[str, Any]]], "Server"]


@functools.cache
def started() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("refresh_start", K8S / "apps" / "train" / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server:
    """An API server that knows the pattern of district and these other jobs, and remembers what was asked of it."""

    def __init__(self, jobs: list[dict[str, Any]]) -> None:
        self.jobs = [named(overlay("district"), "RayJob", "refresh"), *jobs]
        self.asked: list[tuple[str, str]] = []
        self.made: list[dict[str, Any]] = []

    def answer(self, verb: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        """The status and what is told."""
        self.asked.append((verb, path))
        if body is not None:
            self.made.append(body)
            return 201, {**body, "metadata": {**body["metadata"], "name": "refresh-x7f2q"}}
        if path == JOBS:
            return 200, {"items": self.jobs}
        found = [one for one in self.jobs if path == f"{JOBS}/{one['metadata']['name']}"]
        return (200, found[0]) if found else (404, {"message": "not found"})


@contextmanager
def serving(server: Server, folder: Path) -> Iterator[None]:
    """That server in TLS, where the environment says."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: dict[str, Any] | None) -> None:
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            status, told = server.answer(self.command, self.path, body) if known else (401, {"message": "who is it"})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

    listening = HTTPServer(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.crt", folder / "key.pem")
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    os.environ |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(listening.server_port)}
    try:
        yield
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
        del os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Kubernetes mounts for a pod's account."""
    require("openssl", shutil.which("openssl"), "`openssl` is not on the path")
    folder = tmp_path_factory.mktemp("account")
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.crt")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", *files],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "token").write_text(TOKEN)
    (folder / "namespace").write_text("classpulse")
    return folder


def said(server: Server, account: Path, training: Path) -> str:
    with serving(server, account):
        told: str = started().start(started().Api(account), training, "2026-03-02")
    return told


def picture(path: Path, written_s: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    os.utime(path, (written_s, written_s))


def test_without_a_new_picture_nobody_is_even_asked(account: Path, tmp_path: Path) -> None:
    server = Server([])
    assert "no picture" in said(server, account, tmp_path)
    picture(tmp_path / "new" / "JPEGImages" / "1.jpg", 100)
    picture(tmp_path / "refreshes" / "2026-03-01" / "plan.json", 200)
    assert "newer than the last refresh; nothing to do" in said(server, account, tmp_path)
    assert server.asked == []


def test_new_pictures_start_a_copy_of_the_pattern_into_a_folder_of_its_own(account: Path, tmp_path: Path) -> None:
    picture(tmp_path / "new" / "1.jpg", 100)
    server = Server([])

    assert said(server, account, tmp_path) == "started refresh-x7f2q"

    (made,) = server.made
    pattern = server.jobs[0]["spec"]
    assert (pattern["suspend"], made["spec"]["suspend"]) == (True, False)
    assert made["spec"]["entrypoint"].endswith("--out /var/lib/classpulse/training/refreshes/2026-03-02")
    assert made["metadata"]["generateName"] == "refresh-"
    assert {key for key, value in made["spec"].items() if pattern[key] != value} == {"suspend", "entrypoint"}


@pytest.mark.parametrize(
    ("state", "starts"),
    [({}, False), ({"jobDeploymentStatus": "Running"}, False), ({"jobDeploymentStatus": "Failed"}, True)],
)
def test_one_refresh_at_a_time(account: Path, tmp_path: Path, state: dict[str, str], starts: bool) -> None:
    picture(tmp_path / "new" / "1.jpg", 100)
    server = Server([{"metadata": {"name": "refresh-a"}, "spec": {"suspend": False}, "status": state}])

    told = said(server, account, tmp_path)

    assert bool(server.made) == starts
    assert starts or told == "refresh-a is still at work; nothing to do"


def test_its_role_gives_it_what_it_asks_for_and_no_more(account: Path, tmp_path: Path) -> None:
    picture(tmp_path / "new" / "1.jpg", 100)
    server = Server([])
    said(server, account, tmp_path)
    verbs = {
        ("GET", JOBS): ("list", None),
        ("GET", f"{JOBS}/refresh"): ("get", "refresh"),
        ("POST", JOBS): ("create", None),
    }
    asked = {verbs[one] for one in server.asked}
    allowed = {
        (verb, name)
        for rule in named(overlay("district"), "Role", "refresh")["rules"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [None])
        if (rule["apiGroups"], rule["resources"]) == (["ray.io"], ["rayjobs"])
    }
    assert asked == allowed
    assert len(named(overlay("district"), "Role", "refresh")["rules"]) == 2


def test_a_refusal_is_no_start(account: Path, tmp_path: Path) -> None:
    picture(tmp_path / "new" / "1.jpg", 100)
    server = Server([])
    server.jobs = []
    with pytest.raises(urllib.error.HTTPError, match="404"):
        said(server, account, tmp_path)
