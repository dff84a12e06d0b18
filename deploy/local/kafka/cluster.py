"""A real Apache Kafka (KRaft) on loopback: three nodes with SASL/SCRAM, TLS and ACLs as in production, or one in plaintext.

`make kafka-up` and `make kafka-down` run this file; tests start clusters of their own with `Cluster`. Needs Java 17, OpenSSL
and, the first time, Maven. Everything lies in one folder: jars, certificates, passwords (mode 0600), logs, and the pids it started.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka.certificates import NODE, make_certificates, write_private
from deploy.local.kafka.jars import fetch_jars, java

USERS = ("admin", "operator", "ingest", "detect", "aggregate", "bridge", "analyst")
"""`admin` may do everything (super user); what the others may is told by `classpulse topics apply`."""

FIRST_PORT = 19092
READY_WITHIN_S = 60.0
END_WITHIN_S = 20.0
SERVER = ("-Xms96m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true")
QUICK = ("-XX:TieredStopAtLevel=1",)
"""A node beside a demo has less to gain from code compiled at length than its cores lose by compiling it; much through TLS needs that."""
SELDOM = {"replica.fetch.wait.max.ms": "2000"}
"""Nodes ask one another twice a second whether there is anything new; those of a test need not."""
STORAGE_TOOL = "kafka.tools.StorageTool"
STARTED = "Kafka Server started"
TOOL = ("-Xmx128m", "-XX:+UseSerialGC", *QUICK)


@dataclass
class Node:
    """One broker and controller. `ports`: clients, brokers among themselves, controllers. `door`: where clients are sent instead."""

    number: int
    folder: Path
    ports: tuple[int, int, int]
    door: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.door}"


@dataclass
class Cluster:
    """Nodes in one folder. `ports` are chosen freely unless `first_port` is given, three a node.

    `wrapper`: words before each node's command line. `doors`: ports that clients are told instead of the nodes' own, where
    something of the caller's stands between them. `brief`: not for long, nor for much: starting is what counts.
    """

    folder: Path
    nodes: int = 3
    secure: bool = True
    first_port: int | None = None
    wrapper: tuple[str, ...] = ()
    doors: tuple[int, ...] = ()
    brief: bool = False

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        wanted = 3 * self.nodes
        ports = free_ports(wanted) if self.first_port is None else [self.first_port + n for n in range(wanted)]
        doors = self.doors or tuple(ports[: self.nodes])
        listeners = zip(*(ports[n : n + self.nodes] for n in range(0, wanted, self.nodes)), strict=True)
        self.members = [
            Node(number, self.folder / f"node-{number}", three, door)
            for number, (three, door) in enumerate(zip(listeners, doors, strict=True), start=1)
        ]

    @property
    def servers(self) -> str:
        """The addresses of all nodes, as a client wants them."""
        return ",".join(node.address for node in self.members)

    def url(self, user: str = "admin") -> str:
        """What `CLASSPULSE_BUS` is set to for this user."""
        if not self.secure:
            return f"kafka://{self.servers}"
        return f"kafka://{self.servers}?ca={self.folder}/ca.pem&credentials={self.folder}/secrets/{user}"

    def start(self) -> None:
        """Make what is not there yet, start every node, and wait until all of them answer. Raises RuntimeError with the log's end."""
        fetch_jars()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.secure and not (self.folder / NODE).exists():
            make_certificates(self.folder)
        if not (self.folder / "formatted").exists():
            self._prepare()
        for node in self.members:
            self.start_node(node)
        self.wait_ready()

    def start_node(self, node: Node) -> None:
        """Start one node that is not running."""
        self._configure(node)
        options = SERVER + QUICK if self.brief or not self.secure else SERVER
        log_file = node.folder / "server.log"
        if log_file.exists():
            log_file.replace(log_file.with_suffix(".log.before"))
        with log_file.open("wb") as log:
            node.process = subprocess.Popen(
                [*self.wrapper, *java(options, "kafka.Kafka", str(node.folder / "server.properties"))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (node.folder / "pid").write_text(f"{node.process.pid}\n")

    def wait_ready(self) -> None:
        """Until every node's log says that it has started. Raises RuntimeError with the log's end."""
        give_up = time.monotonic() + READY_WITHIN_S
        for node in self.members:
            while not _ready(node):
                if node.process is not None and node.process.poll() is not None:
                    raise RuntimeError(
                        f"node {node.number} ended with {node.process.returncode}:\n{self.last_words(node)}"
                    )
                if time.monotonic() > give_up:
                    raise RuntimeError(f"node {node.number} not ready in {READY_WITHIN_S} s:\n{self.last_words(node)}")
                time.sleep(0.05)

    def stop(self) -> None:
        """End every node that this folder's cluster started, and wait for it."""
        running = [(node, pid) for node in self.members if (pid := running_pid(node)) is not None]
        for _, pid in running:
            os.kill(pid, signal.SIGTERM)
        give_up = time.monotonic() + END_WITHIN_S
        for node, pid in running:
            while _alive(node, pid):
                if time.monotonic() > give_up:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)
            (node.folder / "pid").unlink(missing_ok=True)
            if node.process is not None:
                node.process.wait()

    def signal_node(self, node: Node, number: signal.Signals) -> None:
        """Kill, stop (pause) or continue one node."""
        pid = running_pid(node)
        if pid is None:
            raise RuntimeError(f"node {node.number} does not run")
        os.kill(pid, number)
        if number == signal.SIGKILL:
            while _alive(node, pid):
                time.sleep(0.01)
            if node.process is not None:
                node.process.wait()

    def last_words(self, node: Node, lines: int = 20) -> str:
        """The end of a node's log."""
        return "\n".join((node.folder / "server.log").read_text(errors="replace").splitlines()[-lines:])

    @contextmanager
    def lasting(self) -> "Iterator[Cluster]":
        """Started empty for as long as the block lasts; nothing of it stays."""
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.start()
            yield self
        finally:
            self.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        if self.secure:
            self._make_passwords()
        identity = f"A{secrets.token_urlsafe(16)[1:]}"  # one that begins with a hyphen would be taken for an option
        formats = [(node, self._format(node, identity)) for node in self.members]
        for node, one in formats:
            said, _ = one.communicate()
            (node.folder / "format.args").unlink()
            if one.returncode:
                raise RuntimeError(f"{STORAGE_TOOL} format ended with {one.returncode}:\n{said}")
        (self.folder / "formatted").touch()

    def _format(self, node: Node, identity: str) -> "subprocess.Popen[str]":
        """Begin to make a node's empty log, with the users in it. Their passwords are in a file, not on the command line."""
        self._configure(node)
        known = USERS if self.secure else ()
        users = [(self.folder / "secrets" / user).read_text().strip().partition(":") for user in known]
        words = ["format", "-t", identity, "-c", str(node.folder / "server.properties")]
        for user, _, password in users:
            words += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        arguments = node.folder / "format.args"
        write_private(arguments, "".join(f'"{word}"\n' for word in java(TOOL, STORAGE_TOOL, *words)[1:]))
        command = ["java", f"@{arguments}"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def _make_passwords(self) -> None:
        folder = self.folder / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        for user in USERS:
            write_private(folder / user, f"{user}:{secrets.token_urlsafe(24)}\n")

    def _configure(self, node: Node) -> None:
        node.folder.mkdir(parents=True, exist_ok=True)
        lines = {
            **_common(self),
            **_own(node),
            **(_secured(self) if self.secure else {}),
            **(SELDOM if self.brief else {}),
        }
        text = "".join(f"{key}={value}\n" for key, value in lines.items())
        write_private(node.folder / "server.properties", text)


def _common(cluster: Cluster) -> dict[str, str]:
    replicas = str(cluster.nodes)
    least = str(max(1, cluster.nodes - 1))
    return {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.ports[2]}" for n in cluster.members),
        "listener.security.protocol.map": "CLIENT:SASL_SSL,BROKER:SSL,CONTROLLER:SSL"
        if cluster.secure
        else "CLIENT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": least,
        "default.replication.factor": replicas,
        "min.insync.replicas": least,
        "offsets.topic.num.partitions": "12",
        "transaction.state.log.num.partitions": "12",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "log.retention.check.interval.ms": "10000",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    }


def _own(node: Node) -> dict[str, str]:
    client, broker, controller = (f"127.0.0.1:{port}" for port in node.ports)
    return {
        "node.id": str(node.number),
        "log.dirs": str(node.folder / "log"),
        "listeners": f"CLIENT://{client},BROKER://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENT://{node.address},BROKER://{broker}",
    }


def _secured(cluster: Cluster) -> dict[str, str]:
    """Clients prove themselves with SCRAM over TLS, nodes with their certificate; nobody may do what no ACL allows."""
    return {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "ssl.keystore.location": str(cluster.folder / NODE),
        "ssl.keystore.type": "PEM",
        "ssl.truststore.location": str(cluster.folder / "ca.pem"),
        "ssl.truststore.type": "PEM",
        "listener.name.broker.ssl.client.auth": "required",
        "listener.name.controller.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:admin;User:CN=node",
    }


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    held = []
    try:
        for _ in range(count):
            one = socket.socket()
            one.bind(("127.0.0.1", 0))
            held.append(one)
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def running_pid(node: Node) -> int | None:
    """The pid of a node as this folder remembers it, if that process is still this node's."""
    try:
        pid = int((node.folder / "pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if _alive(node, pid) else None


def _alive(node: Node, pid: int) -> bool:
    """Whether the process lives and is this node's: its command line names the node's folder."""
    if node.process is not None and node.process.pid == pid and node.process.poll() is not None:
        return False
    try:
        return str(node.folder / "server.properties").encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _ready(node: Node) -> bool:
    return STARTED in (node.folder / "server.log").read_text(errors="replace")


def main() -> None:
    """`up` starts nodes and leaves them running, `down` ends them, `run` keeps them for as long as a command takes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("up", "down", "run"))
    parser.add_argument("--folder", type=Path, default=Path("build/kafka"), help="where everything of it lies")
    parser.add_argument("--plain", action="store_true", help="one node in plaintext, without users")
    parser.add_argument(
        "words", nargs="*", metavar="COMMAND", help="of run: what to run on an empty cluster of its own"
    )
    args = parser.parse_args()
    if args.action == "run":
        sys.exit(run(args.folder / "run", args.words, plain=args.plain))
    kind = "plain" if args.plain else "secure"
    cluster = Cluster(args.folder / kind, 1 if args.plain else 3, secure=not args.plain, first_port=FIRST_PORT)
    try:
        up(cluster) if args.action == "up" else down(args.folder)
    except RuntimeError as error:
        sys.exit(f"kafka: {error}")


def up(cluster: Cluster) -> None:
    """Start the nodes and say how to reach them. Raises RuntimeError when some run already."""
    if any(running_pid(node) for node in cluster.members):
        raise RuntimeError(f"nodes of {cluster.folder} run already; `make kafka-down` ends them. {_export(cluster)}")
    if taken := [port for node in cluster.members for port in node.ports if _is_taken(port)]:
        raise RuntimeError(
            f"port {taken[0]} is taken; expected a free one. `make kafka-down` ends nodes of another kind"
        )
    began = time.monotonic()
    try:
        cluster.start()
    except BaseException:
        cluster.stop()
        raise
    print(f"kafka: {len(cluster.members)} node(s) up in {time.monotonic() - began:.1f} s, data in {cluster.folder}")
    print(_export(cluster))


def _export(cluster: Cluster) -> str:
    """How a shell is told of it."""
    return f"export CLASSPULSE_BUS='{cluster.url('{stage}' if cluster.secure else 'admin')}'"


def _is_taken(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def run(folder: Path, words: Sequence[str], *, plain: bool) -> int:
    """Run a command with CLASSPULSE_BUS naming an empty cluster, which ends with it; gives the command's exit code."""
    try:
        with Cluster(folder, 1 if plain else 3, secure=not plain).lasting() as cluster:
            url = cluster.url("admin" if plain else "{stage}")
            return subprocess.run(words, env={**os.environ, "CLASSPULSE_BUS": url}, check=False).returncode
    except RuntimeError as error:
        sys.exit(f"kafka: {error}")


def down(folder: Path) -> None:
    """End what `up` started in this folder, secure and plain."""
    for kind, nodes in (("secure", 3), ("plain", 1)):
        cluster = Cluster(folder / kind, nodes, secure=kind == "secure", first_port=FIRST_PORT)
        pids = [pid for node in cluster.members if (pid := running_pid(node)) is not None]
        cluster.stop()
        if pids:
            print(f"kafka: ended {kind} node(s), pids {', '.join(map(str, pids))}; data stays in {cluster.folder}")


if __name__ == "__main__":
    main()
