"""A client of the Kubernetes API that posts documents as they are written, so that nothing is tidied on the way."""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Refused(Exception):
    """What the API server, or an admission webhook through it, said no to."""

    def __init__(self, code: int, answer: Document, about: str) -> None:
        super().__init__(f"{about}: {code} {answer.get('reason', '')}: {answer.get('message', '')}")
        self.code = code
        self.reason = str(answer.get("reason", ""))
        self.message = str(answer.get("message", ""))
        self.causes = [cause.get("message", "") for cause in answer.get("details", {}).get("causes", [])]


@dataclass
class Api:
    """One user's way to one API server, which is an https address with a certificate of its own."""

    address: str
    token: str
    certificate: Path
    _resources: dict[str, dict[str, Document]] = field(default_factory=dict)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)

    def call(
        self,
        method: str,
        path: str,
        body: Document | str | None = None,
        *,
        content: str = "application/json",
        query: dict[str, str] | None = None,
        user: str | None = None,
    ) -> Document:
        """One request; `user` is who it is made as. Raises Refused with the server's own words."""
        text = json.dumps(body) if isinstance(body, dict) else body
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content, "Accept": "application/json"}
        if user is not None:
            headers["Impersonate-User"] = user
        address = f"{self.address}{path}?{urllib.parse.urlencode(query or {})}"
        request = urllib.request.Request(address, text.encode() if text else None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._trust) as answer:
                return _object(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, _object(error.read()), f"{method} {path}") from None

    def get(self, path: str, **query: str) -> Document:
        """What is at a path."""
        return self.call("GET", path, query=query)

    def items(self, path: str, **query: str) -> list[Document]:
        """What a collection holds."""
        return list(self.get(path, **query)["items"])

    def create(self, document: Document, *, user: str | None = None, dry: bool = False) -> Document:
        """Put a document where its kind and name say; `dry` lets everybody look at it and nobody keep it."""
        path = self.path(document).rpartition("/")[0]
        query = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry else {})}
        return self.call("POST", path, document, query=query, user=user)

    def apply(self, text: str, *, dry: bool = False) -> Document:
        """Apply one YAML document as written, server-side, with unknown and repeated fields refused. Raises Refused."""
        query = {"fieldManager": "check", "fieldValidation": "Strict", "force": "true"}
        if dry:
            query["dryRun"] = "All"
        return self.call("PATCH", self.path(load(text)), text, content=APPLY, query=query)

    def path(self, document: Document) -> str:
        """Where an object is. Raises Refused when no API of that version knows the kind."""
        version, kind, meta = document["apiVersion"], document["kind"], document["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        resource = self._kinds(root).get(kind)
        if resource is None:
            raise Refused(404, {"reason": "NotFound", "message": f"no kind {kind} in {version}"}, title(document))
        where = f"/namespaces/{meta.get('namespace', 'default')}" if resource["namespaced"] else ""
        return f"{root}{where}/{resource['name']}/{meta.get('name', '')}"

    def _kinds(self, root: str) -> dict[str, Document]:
        if root not in self._resources:
            try:
                listed = self.get(root)["resources"]
            except Refused:
                return {}
            self._resources[root] = {one["kind"]: one for one in listed if "/" not in one["name"]}
        return self._resources[root]


def _object(answer: bytes) -> Document:
    try:
        found = json.loads(answer)
    except ValueError:
        return {"message": answer.decode(errors="replace")}
    return found if isinstance(found, dict) else {"message": str(found)}


def load(text: str) -> Document:
    """A document as Python sees it."""
    found = yaml.load(text, yaml.CSafeLoader)
    if not isinstance(found, dict):
        raise TypeError(f"a document is a mapping; found {type(found).__name__}: {text[:80]}")
    return found


def title(document: Document) -> str:
    """How a document is named to people."""
    meta = document.get("metadata", {})
    return f"{document.get('kind')} {meta.get('namespace', '')}/{meta.get('name')}".replace(" /", " ")
