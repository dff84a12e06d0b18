"""Starts tonight's refresh: a copy of the suspended RayJob `refresh`, where there are new pictures and no other copy is at work.

Runs in a pod with the rights of role.yaml and needs nothing but Python.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TRAINING = Path("/var/lib/classpulse/training")
PATTERN = "refresh"
ENDED = ("Complete", "Failed")


class Api:
    """The API server, as the pod's own account may ask it."""

    def __init__(self, account: Path) -> None:
        self._account = account
        self.jobs = f"/apis/ray.io/v1/namespaces/{(account / 'namespace').read_text()}/rayjobs"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What it answers. Raises HTTPError where it refuses, OSError where it does not answer."""
        address = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
        headers = {
            "Authorization": f"Bearer {(self._account / 'token').read_text()}",
            "Content-Type": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{address}{path}", data=data, headers=headers)
        trusted = ssl.create_default_context(cafile=self._account / "ca.crt")
        with urllib.request.urlopen(request, timeout=30, context=trusted) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


def newest(folder: Path) -> float:
    """When something in a folder was written last; 0 where there is nothing."""
    return max((file.stat().st_mtime for file in folder.rglob("*") if file.is_file()), default=0.0)


def at_work(jobs: list[dict[str, Any]]) -> Iterator[str]:
    """The names of the copies that have not ended."""
    for job in jobs:
        if not job["spec"].get("suspend") and job.get("status", {}).get("jobDeploymentStatus") not in ENDED:
            yield job["metadata"]["name"]


def copy_of(pattern: dict[str, Any], today: str) -> dict[str, Any]:
    """A job like the pattern, at work at once."""
    spec = {**pattern["spec"], "suspend": False, "entrypoint": pattern["spec"]["entrypoint"].replace("DATE", today)}
    return {
        "apiVersion": pattern["apiVersion"],
        "kind": pattern["kind"],
        "metadata": {"generateName": f"{PATTERN}-", "labels": {"classpulse/refresh": today}},
        "spec": spec,
    }


def start(api: Api, training: Path, today: str) -> str:
    """Start a refresh where there is one to start; says what was done."""
    if newest(training / "new") <= newest(training / "refreshes"):
        return f"no picture in {training / 'new'} is newer than the last refresh; nothing to do"
    if busy := ", ".join(at_work(api.ask(api.jobs)["items"])):
        return f"{busy} is still at work; nothing to do"
    made = api.ask(api.jobs, copy_of(api.ask(f"{api.jobs}/{PATTERN}"), today))
    return f"started {made['metadata']['name']}"


if __name__ == "__main__":
    try:
        sys.stdout.write(start(Api(ACCOUNT), TRAINING, datetime.now(UTC).strftime("%Y-%m-%d")) + "\n")
    except urllib.error.HTTPError as error:
        sys.exit(f"the API server refused: {error} {error.read().decode(errors='replace')[:500]}")
    except OSError as error:
        sys.exit(f"the API server does not answer: {error}")
