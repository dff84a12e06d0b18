"""A Kafka address is read once, its secrets come from files, and the library's errors become ours."""

import logging
import re
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import certifi
import pytest
from kafka import TopicPartition
from kafka import errors as kafka_errors

from classpulse.bus.base import check_bus
from classpulse.bus.kafka_link import Errand, Link, parse_link, told_offsets
from classpulse.errors import BadInput, Fatal, Fenced, RecordTooLarge, Recoverable


def test_an_address_without_servers_is_refused() -> None:
    with pytest.raises(BadInput, match=r"bus = 'kafka://': expected kafka://HOST:PORT"):
        parse_link("")


def test_servers_files_and_protocol_come_from_the_address(tmp_path: Path) -> None:
    (tmp_path / "ca").write_bytes(Path(certifi.where()).read_bytes())
    (tmp_path / "detect").write_text("detect:s3cret:with colon\n")

    link = parse_link(f"one:9092,two:9093?ca={tmp_path}/ca&credentials={tmp_path}/detect")

    client = link.client()
    assert client["bootstrap_servers"] == ["one:9092", "two:9093"]
    assert client["security_protocol"] == "SASL_SSL"
    assert (client["sasl_plain_username"], client["sasl_plain_password"]) == ("detect", "s3cret:with colon")
    assert "s3cret" not in repr(link)
    plain = parse_link("one:9092").client()
    assert (plain["security_protocol"], plain["client_id"]) == ("PLAINTEXT", "classpulse")
    assert parse_link("one:9092?client_id=up-1").client()["client_id"] == "up-1"


def test_the_line_that_strimzi_writes_into_a_users_secret_is_read_too(tmp_path: Path) -> None:
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    (tmp_path / "detect").write_text(f'{module} required username="detect" password="s3cret:=with";')

    client = parse_link(f"one:9092?credentials={tmp_path}/detect").client()

    assert (client["sasl_plain_username"], client["sasl_plain_password"]) == ("detect", "s3cret:=with")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("one", r"bus = 'kafka://one': expected kafka://HOST:PORT"),
        ("one:9092/topic", r"expected kafka://HOST:PORT"),
        ("me:word@one:9092", r"a user or password in the address; expected \?credentials=FILE"),
        ("one:9092?cert=x", r"option 'cert' is unknown; expected one of ca, credentials, client_id"),
    ],
)
def test_a_wrong_address_is_refused_with_what_is_expected(address: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        parse_link(address)
    assert "word" not in str(refused.value).replace("password", "")


def test_a_file_that_cannot_be_read_or_holds_no_password_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("detect\n")

    with pytest.raises(BadInput, match=r"credentials = '.*nobody': No such file or directory; expected a file"):
        parse_link(f"one:1?credentials={tmp_path}/nobody").client()
    with pytest.raises(BadInput, match=r"credentials = '.*empty': expected one line, user:password"):
        parse_link(f"one:1?credentials={tmp_path}/empty").client()
    with pytest.raises(BadInput, match=r"ca = '.*nobody': No such file"):
        parse_link(f"one:1?ca={tmp_path}/nobody").client()
    with pytest.raises(BadInput, match=r"ca = '.*empty': .*; expected a certificate in PEM"):
        parse_link(f"one:1?ca={tmp_path}/empty").client()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (kafka_errors.ProducerFencedError(), Fenced),
        (kafka_errors.KafkaError("cannot send", kafka_errors.ProducerFencedError()), Fenced),
        (kafka_errors.FencedInstanceIdError(), Fenced),
        (kafka_errors.CommitFailedError("generation"), Fenced),
        (kafka_errors.KafkaTimeoutError("no answer"), Recoverable),
        (kafka_errors.NotLeaderForPartitionError(), Recoverable),
        (kafka_errors.UnknownBrokerIdError(-1), Recoverable),
        (kafka_errors.KafkaError("gave up: [Error 7] RequestTimedOutError"), Recoverable),
        (kafka_errors.MessageSizeTooLargeError(), RecordTooLarge),
        (kafka_errors.TopicAuthorizationFailedError("classpulse.frames.v1"), Fatal),
        (kafka_errors.KafkaError("something else"), Fatal),
    ],
)
def test_each_error_asks_for_what_mends_it(error: kafka_errors.KafkaError, kind: type[Exception]) -> None:
    translated = parse_link("one:1").translated(error, "read")

    assert type(translated) is kind
    assert "kafka://one:1: read" in str(translated)


def test_nobody_at_the_address_ends_the_process_with_one_line() -> None:
    """In a process of its own: the library leaves its socket to the garbage collector."""
    program = "from classpulse.bus import base, kafka_link; kafka_link.BOOTSTRAP_MS = 300; base.open_bus('kafka://127.0.0.1:1')"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    last = ended.stderr.strip().splitlines()[-1]
    assert re.match(r"classpulse.errors.Fatal: kafka://127.0.0.1:1: .*; expected a broker that answers", last)


def test_who_hangs_up_on_a_password_may_mean_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("detect:guessed\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"kafka://127.0.0.1:{server.getsockname()[1]}?credentials={tmp_path}/secret"
        program = f"from classpulse.bus import base, kafka_link; kafka_link.BOOTSTRAP_MS = 1000; base.open_bus({url!r})"
        hanging_up = threading.Thread(target=_hang_up, args=(server,), daemon=True)
        hanging_up.start()
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    last = ended.stderr.strip().splitlines()[-1]
    assert re.match(rf"classpulse.errors.Fatal: .*password of credentials = '{tmp_path}/secret' to be right", last)
    assert "guessed" not in ended.stderr


def _hang_up(server: socket.socket) -> None:
    """Take one after the other, and end each when it has said something."""
    with suppress(OSError):
        while True:
            one, _ = server.accept()
            with one:
                one.recv(4096)


def test_tried_again_and_again_nobody_at_the_address_leaves_no_thread_and_no_socket_behind() -> None:
    program = """
import gc, logging, os, threading
from classpulse.bus import base, kafka_link
from classpulse.errors import Fatal
logging.getLogger("kafka").addHandler(logging.NullHandler())
kafka_link.BOOTSTRAP_MS = 300
held = []
for _ in range(4):
    try:
        base.open_bus("kafka://127.0.0.1:1")
    except Fatal:
        gc.collect()
    held.append((threading.active_count(), len(os.listdir("/proc/self/fd"))))
print(len(set(held)))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert ended.stdout == "1\n", ended.stdout + ended.stderr


def test_an_address_is_checked_without_asking_anybody(tmp_path: Path) -> None:
    check_bus("kafka://127.0.0.1:1")
    for url in ("kafka://one", f"kafka://one:1?credentials={tmp_path}/nobody", "http://one:1"):
        with pytest.raises(BadInput, match=r"^district.*[;:] expected"):
            check_bus(url, key="district")


def test_an_errand_is_waited_for_or_given_up() -> None:
    with pytest.raises(ZeroDivisionError):
        Errand(lambda: 1 // 0).ended(1_000)
    assert Errand(lambda: None).ended(1_000)
    assert not Errand(lambda: __import__("time").sleep(0.5)).ended(10)


def test_a_partition_whose_offsets_nobody_told_is_asked_for_again() -> None:
    def look(partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        del timeout_ms
        return {partition: {}[partition] for partition in partitions}

    with pytest.raises(Recoverable, match=r"partition=17.*expected a leader soon"):
        told_offsets(look, [TopicPartition("classpulse.frames.v1", 17)])


@pytest.mark.parametrize(
    ("heard", "kind", "told"),
    [
        (
            ("[Error 58] SaslAuthenticationFailedError", "Request timed out after 204 ms"),
            BadInput,
            "user or password refused",
        ),
        (("socket disconnected", "Request timed out after 204 ms"), Fatal, "user and password of credentials = "),
        (("socket disconnected", "[Error 58] SaslAuthenticationFailedError"), BadInput, "user or password refused"),
        (("Request timed out after 204 ms", "no route to host"), Fatal, "no route to host; expected a broker"),
    ],
)
def test_what_may_be_a_refused_password_outweighs_what_the_library_says_later(
    heard: tuple[str, ...], kind: type[Exception], told: str, tmp_path: Path
) -> None:
    def connect() -> None:
        with Link(("127.0.0.1:9",), credentials=tmp_path / "me").connecting():
            for why in heard:
                logging.getLogger("kafka.net.manager").error("Bootstrap connection to bootstrap-0 failed: %s", why)
            raise kafka_errors.KafkaTimeoutError("too long")

    with pytest.raises(kind, match=told):
        connect()
