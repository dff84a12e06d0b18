"""Who may do what, asked of the API server: all that an account's work needs, and nothing beside it."""

from collections.abc import Iterator

from tests.deploy.place import NAMESPACE, Place

REFRESH = f"system:serviceaccount:{NAMESPACE}:refresh"
ANYBODY = f"system:serviceaccount:{NAMESPACE}:default"
RIGHTS = (
    (REFRESH, "get", "rayjobs.ray.io", "refresh", True),
    (REFRESH, "list", "rayjobs.ray.io", "", True),
    (REFRESH, "create", "rayjobs.ray.io", "", True),
    (REFRESH, "get", "rayjobs.ray.io", "another", False),
    (REFRESH, "delete", "rayjobs.ray.io", "refresh", False),
    (REFRESH, "update", "rayjobs.ray.io", "refresh", False),
    (REFRESH, "get", "secrets", "", False),
    (REFRESH, "create", "pods", "", False),
    (ANYBODY, "list", "rayjobs.ray.io", "", False),
    (ANYBODY, "get", "secrets", "", False),
    (ANYBODY, "list", "pods", "", False),
)


def rights_missed(place: Place) -> Iterator[str]:
    """Where an account may not do its work, or may do more."""
    for user, verb, resource, name, allowed in RIGHTS:
        if place.may(user, verb, resource, name=name) is not allowed:
            yield f"{user} may {'not ' if allowed else ''}{verb} {resource} {name}"
        if place.may(user, verb, resource, name=name, namespace="kube-system"):
            yield f"{user} may {verb} {resource} in kube-system"
