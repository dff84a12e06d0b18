"""A Prometheus on loopback with the rules of the deployment: `python -m deploy.local.prometheus.server PORT…` watches these ports.

Its data lie in `build/prometheus/data`. Ctrl-C ends it.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from deploy.local.prometheus.programs import FOLDER, HERE, program

RULES = HERE.parents[2] / "deploy" / "k8s" / "platform" / "monitoring"
PORT = 9090
READY_S = 30.0
LOOK_S = 0.1


def groups(paths: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """The groups of these PrometheusRules (all of the deployment), as Prometheus itself takes them."""
    files = paths or sorted(RULES.glob("*/prometheus-rule.yaml"))
    return [group for path in files for group in yaml.safe_load(path.read_text())["spec"]["groups"]]


def write_config(folder: Path, targets: Sequence[str], every: str = "15s") -> Path:
    """Its configuration and rules, in a folder."""
    told = yaml.safe_load((HERE / "prometheus.yml").read_text())
    told["global"] = dict.fromkeys(told["global"], every)
    told["scrape_configs"][0]["static_configs"] = [{"targets": list(targets)}]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups()}, sort_keys=False))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(told, sort_keys=False))
    return folder / "prometheus.yml"


def command(folder: Path, port: int) -> list[str]:
    """How it is started on a folder with a configuration."""
    options = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "tsdb",
        "web.listen-address": f"127.0.0.1:{port}",
        "log.level": "warn",
    }
    return [str(program("prometheus")), *(f"--{name}={value}" for name, value in options.items())]


@contextmanager
def running(folder: Path, targets: Sequence[str], every: str = "1s", wrapper: Sequence[str] = ()) -> Iterator[str]:
    """The address of one that asks these targets, until the end of the block. Raises RuntimeError with what it said."""
    write_config(folder, targets, every)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log, subprocess.Popen([*wrapper, *command(folder, port)], stderr=log) as process:
        try:
            _await_ready(address, process, folder)
            yield address
        finally:
            process.terminate()


def _await_ready(address: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    for _ in range(int(READY_S / LOOK_S)):
        try:
            with urlopen(f"{address}/-/ready", timeout=READY_S):  # noqa: S310 - loopback
                return
        except OSError:
            pass
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"prometheus did not become ready: {(folder / 'log').read_text()[-2000:]}")


def free_port() -> int:
    """One that nobody listens at."""
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])


def main(ports: Sequence[str]) -> int:
    """Watch these ports until told to stop."""
    if not ports or not all(port.isdecimal() for port in ports):
        print(f"ports = {' '.join(ports)!r}: expected the loopback ports to watch, such as 9464 9465", file=sys.stderr)
        return 2
    folder = FOLDER / "data"
    write_config(folder, [f"127.0.0.1:{port}" for port in ports])
    print(f"http://127.0.0.1:{PORT}")
    try:
        return subprocess.run(command(folder, PORT), check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
