"""docs/topics.md as an analyst follows it: what it says of each topic, and its examples, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from classpulse.bus.base import open_bus
from classpulse.codec import encode
from classpulse.records import Record
from classpulse.topics import TOPICS, Topic, short_name
from tests.brokers import running
from tests.services.reading.stories import EIGHT_MS, a_bucket, a_room, an_event
from tests.support import ROOT, require

PAGE = (ROOT / "docs/topics.md").read_text()
ROOM = "page/school/room-1"
OTHER = "page/school/room-2"
SCRAM_SINCE = (2, 6, 1)
"""Older versions of librdkafka repeat their nonce, and Kafka 4 refuses them."""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_topic_has_its_meaning_and_the_schemas_of_its_nouns() -> None:
    found = {line.split("**")[1]: line for line in PAGE.splitlines() if line.startswith("| **")}
    assert found.keys() == {short_name(topic) for topic in TOPICS.values()}
    for topic in TOPICS.values():
        links = re.findall(r"\[(\w+)\]\(\.\./schemas/(\w+)\.v1\.json\)", found[short_name(topic)])
        assert links == [(noun, noun) for noun in topic.nouns], topic.name


def test_every_schema_the_page_links_to_exists() -> None:
    for link in re.findall(r"\(\.\./(schemas/[^)]+)\)", PAGE):
        assert (ROOT / link).exists(), link


def test_the_plain_consumer_is_fifteen_lines_and_imports_nothing_of_ours() -> None:
    (script,) = blocks("python")
    assert len([line for line in script.splitlines() if line]) <= 15
    assert "classpulse" not in re.findall(r"^(?:import|from) (.*)$", script, re.MULTILINE)[0]


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    """Variables of a cluster without users, in which two rooms were seen."""
    return {**environ(running("plain").url("{stage}")), "BROKERS": running("plain").servers}


@pytest.fixture(scope="module")
def secure() -> dict[str, str]:
    """Variables of a cluster with users, in which the same was seen."""
    cluster = running("secure")
    return {
        **environ(cluster.url("{stage}")),
        "BROKERS": cluster.servers,
        "CA": str(cluster.folder / "ca.pem"),
        "ANALYST": str(cluster.folder / "secrets" / "analyst"),
    }


def environ(url: str) -> dict[str, str]:
    """What a shell needs to run what the page says, on a cluster whose topics are made and hold something."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("CLASSPULSE_")}
    variables |= {
        "CLASSPULSE_BUS": url,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    made = run(["classpulse", "topics", "apply", "--force"], variables)
    assert made.returncode == 0, made.stderr
    tell(url.replace("{stage}", "operator"), "operator", a_room(room=ROOM), a_room(room=OTHER))
    tell(
        url.replace("{stage}", "aggregate"),
        "aggregate",
        a_bucket(0, hands=(2, 7000, 2), room=ROOM),
        a_bucket(1, room=ROOM, observed_ms=5000),
        a_bucket(2, room=ROOM, final=False),
        a_bucket(0, room=OTHER, observed_ms=0),
        an_event(1000, room=ROOM),
        an_event(1000, 3500, room=ROOM),
        an_event(9000, room=ROOM),
    )
    return variables


def tell(url: str, user: str, *told: tuple[Topic, Record]) -> None:
    bus = open_bus(url)
    bus.create(list(TOPICS.values()))
    member = bus.member(user, [])
    member.commit([encode(noun, topic=topic, at_ms=EIGHT_MS) for topic, noun in told], {})
    member.close()
    bus.close()


def run(command: list[str], environ: dict[str, str], folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_kcat_shows_what_has_ended_and_what_is_final(plain: dict[str, str], tmp_path: Path) -> None:
    require("kcat", shutil.which("kcat"), "apt install kcat")
    script = next(block for block in blocks("sh") if 'kcat -b "$BROKERS"' in block)
    done = run(["sh", "-ec", script], plain, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "page/school/" in line]
    assert len([line for line in lines if '"phase":"ended"' in line]) == 1
    keys = sorted(line.split()[0] for line in lines if '"final":true' in line)
    assert keys == [f"{ROOM}/{EIGHT_MS}", f"{ROOM}/{EIGHT_MS + 10_000}", f"{OTHER}/{EIGHT_MS}"]


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_kcat_as_a_user_is_let_in_or_refused_as_the_page_says(secure: dict[str, str], tmp_path: Path) -> None:
    require("kcat", shutil.which("kcat"), "apt install kcat")
    script = next(block for block in blocks("sh") if "analyst.conf" in block)
    said = re.search(r"librdkafka (\d+)\.(\d+)\.(\d+)", run(["kcat", "-V"], secure).stdout)
    assert said
    done = run(["sh", "-ec", script], secure, tmp_path)
    assert (tmp_path / "analyst.conf").stat().st_mode & 0o077 == 0
    if tuple(map(int, said.groups())) >= SCRAM_SINCE:
        assert (done.returncode, f'"room":"{ROOM}"' in done.stdout) == (0, True), done.stderr
    else:
        assert done.returncode == 1
        why = run(["kcat", "-F", "analyst.conf", "-L", "-m", "20"], secure, tmp_path).stderr
        assert (
            "SASL authentication error: Authentication failed during authentication due to invalid credentials" in why
        )


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_a_plain_consumer_reads_and_validates_everything(secure: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "schemas").symlink_to(ROOT / "schemas")
    (script,) = blocks("python")
    done = run([sys.executable, "-c", script], secure, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = sorted(line for line in done.stdout.splitlines() if "page/school/" in line)
    assert lines == [
        f"BehaviourEvent.v1 {ROOM} ended",
        f"BehaviourEvent.v1 {ROOM} started",
        f"BehaviourEvent.v1 {ROOM} started",
        f"TimelineBucket.v1 {ROOM}/{EIGHT_MS} 1",
        f"TimelineBucket.v1 {ROOM}/{EIGHT_MS + 10_000} 1",
        f"TimelineBucket.v1 {ROOM}/{EIGHT_MS + 20_000} 1",
        f"TimelineBucket.v1 {OTHER}/{EIGHT_MS} 1",
    ]


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_duckdb_answers_over_an_export_of_the_cluster(
    secure: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = next(block for block in blocks("sh") if "classpulse export" in block)
    done = run(["sh", "-ec", script], secure, tmp_path)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    schools, longest = (duckdb.sql(block).fetchall() for block in blocks("sql"))
    assert [row[0:1] + row[2:] for row in schools if row[0] == "page/school"] == [("page/school", 2, 0.1, 0.5)]
    (event,) = [row for row in longest if row[0] == ROOM]
    assert (event[1], str(event[2]), event[3], event[4]) == ("hand-raising", "2026-03-02 08:00:01", 2.5, "all")
