"""What a Prometheus says, over its HTTP API."""

import json
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from classpulse.errors import BadInput, Recoverable

ANSWER_S = 10.0


@dataclass(frozen=True)
class Sample:
    """One series of an answer, and its value now."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Alert:
    """An alert that is active: `state` is `firing`, or `pending` while it may still go away by itself."""

    name: str
    state: str
    since: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Prometheus:
    """One at an address. Each question raises Recoverable naming the address where it does not answer as one does."""

    def __init__(self, url: str) -> None:
        """Raises BadInput for what is no address of one."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise BadInput([f"--cluster = {url!r}: expected the address of a Prometheus, http://HOST:PORT"])
        self.url = url.rstrip("/")

    def version(self) -> str:
        """What it runs."""
        return str(self._ask("status/buildinfo")["version"])

    def query(self, expression: str) -> list[Sample]:
        """The vector that an expression is now."""
        answer = self._ask(f"query?query={quote(expression)}")
        if answer["resultType"] == "scalar":
            return [Sample({}, float(answer["result"][1]))]
        return [Sample(dict(one["metric"]), float(one["value"][1])) for one in answer["result"]]

    def alerts(self) -> list[Alert]:
        """Those that are active."""
        told = self._ask("alerts")["alerts"]
        return [Alert(a["labels"]["alertname"], a["state"], a["activeAt"], a["labels"], a["annotations"]) for a in told]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule that is loaded, as the API tells it."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, path: str) -> dict[str, Any]:
        address = f"{self.url}/api/v1/{path}"
        try:
            try:
                with urlopen(address, timeout=ANSWER_S) as answer:  # noqa: S310 - __init__ takes http and https only
                    told = json.load(answer)
            except HTTPError as refusal:  # it says in the body what it does not like
                with refusal:
                    told = json.load(refusal)
            if told["status"] != "success":
                raise Recoverable(f"{self.url}: {told['error']}")
            return dict(told["data"])
        except (OSError, HTTPException) as error:
            raise Recoverable(
                f"{self.url}: {getattr(error, 'reason', error)}; expected a Prometheus that answers"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise Recoverable(f"{self.url}: answers, but not as a Prometheus does; expected its address") from error
