"""An image run where no container engine can: by buildah in a chroot, and in namespaces of its own as a pod would have it.

`run` is buildah's: the image's user and environment, but a root that its layers can be written over. `start` enforces what a pod's
security context asks for: the user, no new privileges, a root that cannot be written but for /tmp and the data folder, processes and
a network of its own with nothing but loopback. Neither has limits on memory or a profile of system calls.
"""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

USER = 10001
DATA = "/var/lib/classpulse"
SAID = "/tmp/said"
NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net")
ENTER = f"""set -e
root=$1; data=$2; shift 2
ip link set lo up
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$data" "$root{DATA}"
exec setpriv --no-new-privs chroot --userspec={USER}:{USER} --groups= "$root" /usr/bin/env -C {DATA} -i "$@"
"""


class Container:
    """One image, mounted for as long as this is open."""

    def __init__(self, image: str) -> None:
        self.image = image

    def __enter__(self) -> Self:
        self.name = _said("buildah", "from", "--pull-never", self.image)
        self.root = Path(_said("buildah", "mount", self.name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _said("buildah", "umount", self.name)
        _said("buildah", "rm", self.name)

    @property
    def config(self) -> dict[str, Any]:
        """What the image says of itself."""
        config: dict[str, Any] = json.loads(_said("podman", "image", "inspect", self.image))[0]["Config"]
        return config

    def run(self, *command: str) -> str:
        """What the command said, by buildah, to its end; through a file, because buildah's pipe loses the words of what ends at once."""
        words = ["sh", "-c", f'"$@" >{SAID} 2>&1', "sh", *command]
        subprocess.run(["buildah", "run", "--isolation", "chroot", self.name, "--", *words], check=False, timeout=120)
        return (self.root / SAID.removeprefix("/")).read_text()

    def start(self, data: Path, *command: str) -> "subprocess.Popen[str]":
        """The command as the first process of a pod; its data folder is `data`."""
        words = [
            "unshare",
            *NAMESPACES,
            "sh",
            "-c",
            ENTER,
            "sh",
            str(self.root),
            str(data),
            *self.config["Env"],
            *command,
        ]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def done(self, data: Path, *command: str) -> str:
        """What the command said, in a pod of its own. Raises where it ends with anything but 0."""
        with self.start(data, *command) as process:
            said, complaint = process.communicate(timeout=180)
        if process.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {process.returncode}:\n{said}{complaint}")
        return said


def stop(processes: Sequence["subprocess.Popen[str]"]) -> list[tuple[int, str]]:
    """Ask the first process of each pod to end, as Kubernetes does; what each ended with, and said."""
    for process in processes:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if process.poll() is None and children:
            os.kill(int(children[0]), signal.SIGTERM)
    ended = []
    for process in processes:
        said, complaint = process.communicate(timeout=60)
        ended.append((process.returncode, said + complaint))
    return ended


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
