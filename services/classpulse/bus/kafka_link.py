"""How this process reaches a Kafka cluster: its address, its name and password from files, and what the client's errors mean.

`kafka://HOST:PORT[,HOST:PORT…][?ca=FILE][&credentials=FILE][&client_id=NAME]`. With `ca` the connection is TLS and the brokers must show a
certificate of that authority; with `credentials` (a file holding `user:password`, or the line `sasl.jaas.config` that Strimzi writes
into a user's secret) the process proves itself with SASL/SCRAM-SHA-512. Neither ever stands on a command line or in a log. The
brokers' logs and groups call it `client_id`.
"""

import logging
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from kafka import TopicPartition
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient

from classpulse.bus.base import DEADLINE_MS
from classpulse.errors import BadInput, ClassPulseError, Fatal, Fenced, RecordTooLarge, Recoverable

BOOTSTRAP_MS = 10_000
CLOSE_MS = 1_000
RECONNECT_MOST_MS = 1_000
"""The client's own default, 30 s, keeps a camera waiting long after its broker is back."""

LEADERS_MS = 3_000
"""How long a reader believes who leads a partition. kafka-python 3.0.12 asks a former leader again and again where records
lie, without a pause and without asking who leads now (consumer/fetcher.py, _handle_list_offsets_response); its default is 5 min."""

READING = {
    "enable_auto_commit": False,
    "isolation_level": "read_committed",
    "allow_auto_create_topics": False,
    "metadata_max_age_ms": LEADERS_MS,
    "metrics_enabled": False,
}
"""What every client that reads is given besides: it sees what is committed, and moves no position by itself."""

OPTIONS = ("ca", "credentials", "client_id")

_JAAS = re.compile(r'username="([^"]+)"\s+password="([^"]+)"\s*;')

_FENCED = (
    kafka_errors.ProducerFencedError,
    kafka_errors.FencedInstanceIdError,
    kafka_errors.InvalidProducerEpochError,
    kafka_errors.CommitFailedError,
)

_REFUSED = "SaslAuthenticationFailedError"
_CUT = "socket disconnected"
"""A broker refuses a password and hangs up; where both arrive together, the library reads no answer, only the end."""
_LATER = (
    "KafkaTimeoutError",
    "RequestTimedOutError",
    "KafkaConnectionError",
    "NotEnoughReplicas",
    "UnknownBrokerIdError",  # a partition without a leader, for now
)
"""Errors that pass by themselves; the library often gives them as the text of another."""


@dataclass(frozen=True)
class Link:
    """A cluster's address and how to prove oneself there."""

    servers: tuple[str, ...]
    ca: Path | None = None
    credentials: Path | None = None
    client_id: str = "classpulse"

    @property
    def name(self) -> str:
        """For people."""
        return f"kafka://{','.join(self.servers)}"

    def client(self) -> dict[str, object]:
        """What every client of the library is given. Raises BadInput for a file that cannot be read."""
        settings: dict[str, object] = {
            "bootstrap_servers": list(self.servers),
            "client_id": self.client_id,
            "bootstrap_timeout_ms": BOOTSTRAP_MS,
            "request_timeout_ms": DEADLINE_MS,
            "reconnect_backoff_max_ms": RECONNECT_MOST_MS,
        }
        protocol = ("SASL_" if self.credentials else "") + ("SSL" if self.ca else "PLAINTEXT")
        settings["security_protocol"] = protocol
        if self.ca is not None:
            _check_authority(self.ca)
            settings["ssl_cafile"] = str(self.ca)
        if self.credentials is not None:
            user, password = _user_and_password(self.credentials)
            settings |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": user,
                "sasl_plain_password": password,
            }
        return settings

    @contextmanager
    def making(self) -> Iterator[dict[str, object]]:
        """What clients are made from here; where one of them cannot be made, none leaves a thread or a socket behind.

        The library forgets what it had begun when no broker answers, and it runs on: tried again for hours, that adds up.
        """
        begun: list[KafkaNetClient] = []

        def begin(**settings: object) -> KafkaNetClient:
            begun.append(KafkaNetClient(**settings))
            return begun[-1]

        try:
            yield {**self.client(), "kafka_client": begin}
        except kafka_errors.KafkaError:
            for one in begun:
                one._manager._net.stop(CLOSE_MS)  # noqa: SLF001 - as the library's own clients end it
                one.close()
            raise

    @contextmanager
    def meaning(self, what: str) -> Iterator[None]:
        """The library's errors in our words, while doing `what`."""
        try:
            yield
        except kafka_errors.KafkaError as error:
            raise self.translated(error, what) from error

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Around a process's first client: why no broker could be reached. Raises BadInput for refused credentials, else Fatal.

        The library tells why only in its log, and then that it took too long.
        """
        heard = _Heard()
        log = logging.getLogger("kafka.net.manager")
        log.addHandler(heard)
        try:
            yield
        except kafka_errors.KafkaError as error:
            why = heard.last or _words(error)
            if _REFUSED in why:
                raise BadInput(
                    [
                        f"bus = {self.name}: user or password refused; expected those of credentials = {str(self.credentials)!r}"
                    ]
                ) from error
            way = "in TLS" if self.ca else "in plain text (for TLS the URL says ?ca=FILE)"
            if self.credentials and heard.cut:
                way += f", and user and password of credentials = {str(self.credentials)!r} to be right"
            raise Fatal(f"{self.name}: {why}; expected a broker that answers {way}") from error
        finally:
            log.removeHandler(heard)

    def translated(self, error: kafka_errors.KafkaError, what: str) -> ClassPulseError:
        """What an error of the library asks us to do."""
        where = f"{self.name}: {what}: {_words(error)}"
        if any(kind.__name__ in where for kind in _FENCED):  # the library often wraps them, in text only
            return Fenced(f"{where}; a later member owns this place; expected to be the latest")
        if isinstance(error, kafka_errors.AuthorizationError):
            return Fatal(
                f"{where}; expected a user that may (docs/topics.md says who may do what; `classpulse topics apply` sees to it)"
            )
        if isinstance(error, kafka_errors.MessageSizeTooLargeError | kafka_errors.RecordListTooLargeError):
            return RecordTooLarge(f"{where}; the broker takes less than topics.py says")
        if isinstance(error, kafka_errors.RetriableError) or any(kind in where for kind in _LATER):
            return Recoverable(where)
        return Fatal(where)


class _Heard(logging.Handler):
    """Keeps why connections failed."""

    last = ""
    cut = False

    def emit(self, record: logging.LogRecord) -> None:
        """One line of the library's log; a refused password outweighs what is said after it."""
        said = record.getMessage()
        if said.startswith("Bootstrap connection to"):
            self.cut |= _CUT in said
            self.last = self.last if _REFUSED in self.last else said


class Errand:
    """A call of the library that may never return, made in a thread of its own: it can be waited for, and given up."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._thread = threading.Thread(target=self._run, name="kafka-errand", daemon=True)
        self._error: BaseException | None = None
        self._thread.start()

    def ended(self, within_ms: int) -> bool:
        """Whether the call returned in time. Raises what the call raised."""
        self._thread.join(within_ms / 1000)
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error


def told_offsets(
    look: Callable[..., dict[TopicPartition, int]], partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """What a client's `beginning_offsets` or `end_offsets` tells. Raises Recoverable where nobody told of a partition.

    kafka-python 3.0.12 (consumer/fetcher.py, beginning_or_end_offset) then raises a KeyError: one without a leader, for now.
    """
    try:
        return look(list(partitions), timeout_ms=DEADLINE_MS)
    except KeyError as error:
        raise Recoverable(f"offsets of {error}: no broker told them; expected a leader soon") from error


def parse_link(address: str) -> Link:
    """The link of a bus URL without its scheme. Raises BadInput naming every fault."""
    parts = urlsplit(f"//{address}")
    faults = []
    if "@" in parts.netloc:
        faults.append("bus: a user or password in the address; expected ?credentials=FILE with user:password in it")
    servers = tuple(server for server in parts.netloc.rpartition("@")[2].split(",") if server)
    wrong = [server for server in servers if not server.rpartition(":")[2].isdigit()]
    if not servers or wrong or parts.path:
        faults.append(f"bus = 'kafka://{','.join(servers)}{parts.path}': expected kafka://HOST:PORT[,HOST:PORT…]")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    faults += [
        f"bus: option {name!r} is unknown; expected one of {', '.join(OPTIONS)}"
        for name in options
        if name not in OPTIONS
    ]
    if faults:
        raise BadInput(faults)
    client_id = options.pop("client_id", Link.client_id)
    files = {name: Path(value).expanduser() for name, value in options.items()}
    return Link(servers, files.get("ca"), files.get("credentials"), client_id)


def _user_and_password(path: Path) -> tuple[str, str]:
    text = _read("credentials", path).strip()
    if jaas := _JAAS.search(text):
        return jaas[1], jaas[2]
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise BadInput([f"bus: credentials = {str(path)!r}: expected one line, user:password"])
    return user, password


def _check_authority(path: Path) -> None:
    """Raises BadInput for a file that holds no certificate."""
    _read("ca", path)
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise BadInput([f"bus: ca = {str(path)!r}: {error}; expected a certificate in PEM"]) from error


def _read(option: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInput([f"bus: {option} = {str(path)!r}: {why}; expected a file that this process can read"]) from error


def _words(error: kafka_errors.KafkaError) -> str:
    said = str(error).strip()
    name = type(error).__name__
    return said if name in said else f"{name}: {said}" if said else name
