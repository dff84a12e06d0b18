"""What a pod says that is started with bad input: in its last line, in an event or a metric, and never in silence.

Each stage runs as the process that a pod starts, against real brokers with users.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster, free_ports

from classpulse.bus.base import open_bus
from classpulse.codec import decode, encode
from classpulse.reading import stored_records
from classpulse.records import CameraConfig, CameraReport, RoomConfig
from classpulse.topics import CAMERAS, REPORTS, ROOMS, TOPICS
from tests.brokers import MORTAL, require_kafka
from tests.ray_heads import require_ray

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

PATIENCE_S = 120.0
SITE = """
[[rooms]]
room = "t/s/r"

[[cameras]]
camera = "t/s/r/front"
source = "rtsp://127.0.0.1:9/front"
"""

PODS = {
    "ingest": "ingest",
    "detect": "detect",
    "aggregate": "aggregate",
    "canary": "operator",
    "audit --every 900": "operator",
    "topics check": "operator",
    "export --parquet {data}/exports": "operator",
    "cameras apply {data}/site.toml": "operator",
}
"""What pods are started as, and the user that each is."""


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Brokers with users, on which nobody has made a topic yet."""
    require_kafka()
    cluster = Cluster(tmp_path_factory.mktemp("brokers") / "nodes", 1, secure=True, brief=True, wrapper=MORTAL)
    with cluster.lasting():
        yield cluster


def environ(bus: str, data: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLASSPULSE_")}
    given = {f"CLASSPULSE_{name.upper()}": value for name, value in settings.items()}
    path = os.pathsep.join(filter(None, sys.path))
    return {**kept, **given, "CLASSPULSE_BUS": bus, "CLASSPULSE_DATA": str(data), "PYTHONPATH": path}


def ended(stage: str, env: dict[str, str]) -> tuple[int, str]:
    """How a stage ended by itself: its exit code, and the last line that it said."""
    site = Path(env["CLASSPULSE_DATA"]) / "site.toml"
    if not site.exists():
        site.write_text(SITE)
    command = [sys.executable, "-m", "classpulse.cli", *stage.format(data=env["CLASSPULSE_DATA"]).split()]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stderr.strip().splitlines()[-1]


@contextmanager
def running(stage: str, env: dict[str, str], log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "classpulse.cli", *stage.split()]
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=env, stdout=said, stderr=said)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def asked(port: int, path: str) -> tuple[int, str]:
    """What a probe or a scrape gets; (0, "") while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def wait_for(port: int, path: str, wanted: str) -> str:
    """Until an answer holds these words."""
    until = time.monotonic() + PATIENCE_S
    while wanted not in (said := asked(port, path)[1]):
        assert time.monotonic() < until, f"{path} said:\n{said}"
        time.sleep(0.2)
    return said


@pytest.mark.parametrize("stage", PODS)
def test_a_secret_that_is_not_there_is_named(stage: str, secure: Cluster, tmp_path: Path) -> None:
    bus = f"kafka://{secure.servers}?ca={secure.folder}/ca.pem&credentials={tmp_path}/nothing"
    code, line = ended(stage, environ(bus, tmp_path))
    assert code == 2
    assert f"credentials = '{tmp_path}/nothing': No such file" in line


@pytest.fixture(scope="module")
def refused(secure: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Path, int, str]]:
    """How each ended whose password was wrong, side by side: the library asks for ten seconds before it gives up."""

    def one(stage: str) -> tuple[Path, int, str]:
        folder = tmp_path_factory.mktemp("refused")
        (folder / "wrong").write_text(f"{PODS[stage]}:guessed\n")
        bus = f"kafka://{secure.servers}?ca={secure.folder}/ca.pem&credentials={folder}/wrong"
        return folder, *ended(stage, environ(bus, folder))

    with ThreadPoolExecutor(len(PODS)) as pool:
        return dict(zip(PODS, pool.map(one, PODS), strict=True))


@pytest.mark.parametrize("stage", PODS)
def test_a_wrong_password_is_said_and_not_shown(stage: str, refused: Mapping[str, tuple[Path, int, str]]) -> None:
    folder, code, line = refused[stage]
    assert code == (2 if "user or password refused" in line else 1), "of a busy broker only its end is read"
    assert f"credentials = '{folder}/wrong'" in line
    assert "guessed" not in line


@pytest.mark.parametrize("stage", PODS)
def test_topics_that_nobody_has_made_are_named(stage: str, secure: Cluster, tmp_path: Path) -> None:
    code, line = ended(stage, environ(secure.url(PODS[stage]), tmp_path))
    assert code == 1, "once they are there, a start is all that is needed"
    assert "`classpulse topics apply` sees to it" in line


@pytest.mark.parametrize(
    ("site", "wanted"),
    [
        (SITE, "district: credentials = '{folder}/nothing': No such file"),
        (SITE.replace("rtsp:", "gopher:"), "cameras[0].source = 'gopher://127.0.0.1:9/front': unknown scheme 'gopher'"),
        ("[[rooms]\n", "site = '{folder}/site.toml': "),
    ],
)
def test_a_school_that_cannot_start_names_what_of_its_site_is_wrong(tmp_path: Path, site: str, wanted: str) -> None:
    (tmp_path / "site.toml").write_text(site)
    env = environ(
        f"sqlite://{tmp_path}/bus.sqlite", tmp_path, district=f"kafka://127.0.0.1:9?credentials={tmp_path}/nothing"
    )
    code, line = ended("up {data}/site.toml", env)
    assert code == 2
    assert wanted.format(folder=tmp_path) in line


def test_a_node_without_a_gpu_that_is_to_look_with_one_says_so(tmp_path: Path) -> None:
    code, line = ended("detect", environ(f"sqlite://{tmp_path}/bus.sqlite", tmp_path, runtime="onnxruntime-cuda"))
    assert code == 2
    assert "CUDAExecutionProvider" in line
    assert "expected" in line


def test_a_camera_of_an_unknown_kind_is_silent_and_log_report_and_metric_say_so(tmp_path: Path) -> None:
    url, (port,) = f"sqlite://{tmp_path}/bus.sqlite", free_ports(1)
    bus = open_bus(url)
    bus.create(tuple(TOPICS.values()))
    room, camera = RoomConfig(room="t/s/r"), CameraConfig(camera="t/s/r/cam", source="gopher://camera/stream")
    told = [encode(room, topic=ROOMS, at_ms=1), encode(camera, topic=CAMERAS, at_ms=1)]
    bus.member("operator", ()).commit(told, {})
    with running("ingest", environ(url, tmp_path, metrics_port=str(port)), tmp_path / "log"):
        wait_for(port, "/metrics", 'classpulse_cameras{state="silent"} 1.0')
        assert asked(port, "/healthz")[0] == 200, "one camera that cannot be opened is no reason to start again"
    reports = [noun for one in stored_records(bus, REPORTS, 0) if isinstance(noun := decode(one), CameraReport)]
    bus.close()
    assert reports[-1].state == "silent"
    assert reports[-1].last_error == "bad_source"
    assert "gopher" in (tmp_path / "log").read_text()


def said(log: Path, wanted: str) -> str:
    """What was said, once these words are in it."""
    until = time.monotonic() + PATIENCE_S
    while wanted not in (text := log.read_text()):
        assert time.monotonic() < until, f"it said:\n{text}"
        time.sleep(0.2)
    return text


def test_a_bridge_without_a_district_names_the_setting(tmp_path: Path) -> None:
    code, line = ended("bridge", environ(f"sqlite://{tmp_path}/bus.sqlite", tmp_path))
    assert code == 2
    assert "district = ''" in line


@pytest.mark.parametrize(
    ("credentials", "wanted"),
    [("wrong", "credentials = '{folder}/wrong'"), ("secrets/bridge", "expected a user that may")],
)
def test_a_bridge_that_its_district_refuses_goes_on_keeping_what_is_seen_and_says_why(
    secure: Cluster, tmp_path: Path, credentials: str, wanted: str
) -> None:
    (secure.folder / "wrong").write_text("bridge:guessed\n")
    (port,) = free_ports(1)
    district = f"kafka://{secure.servers}?ca={secure.folder}/ca.pem&credentials={secure.folder}/{credentials}"
    env = environ(f"sqlite://{tmp_path}/bus.sqlite", tmp_path, district=district, metrics_port=str(port))
    with running("bridge", env, tmp_path / "log"):
        text = said(tmp_path / "log", wanted.format(folder=secure.folder))
        assert asked(port, "/healthz")[0] == 200, "a start would change nothing, and its school goes on"
    assert "no link to the district" in text
    assert "guessed" not in text


@pytest.mark.ray
@pytest.mark.xdist_group("kafka-fleet")
def test_a_fleet_whose_workers_are_refused_is_not_ready_and_says_why(secure: Cluster, tmp_path: Path) -> None:
    require_ray()
    (tmp_path / "wrong").write_text("detect:guessed\n")
    (port,) = free_ports(1)
    bus = f"kafka://{secure.servers}?ca={secure.folder}/ca.pem&credentials={tmp_path}/wrong"
    with running("fleet up --headless", environ(bus, tmp_path, metrics_port=str(port)), tmp_path / "log"):
        text = said(tmp_path / "log", f"credentials = '{tmp_path}/wrong'")
        assert asked(port, "/readyz")[0] == 503
    assert "guessed" not in text


@pytest.mark.ray
def test_a_fleet_whose_cluster_is_not_there_names_the_address(secure: Cluster, tmp_path: Path) -> None:
    require_ray()
    code, line = ended("fleet up --headless --address ray://127.0.0.1:9", environ(secure.url("detect"), tmp_path))
    assert code == 2
    assert "--address = 'ray://127.0.0.1:9'" in line
    assert "expected the client server of Ray's head" in line
