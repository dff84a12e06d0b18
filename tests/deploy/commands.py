"""How the commands in pods are read: by the same parser that reads them there, without running them."""

import shlex
from collections.abc import Iterator, Sequence

from typer.core import TyperGroup

from classpulse.cli import COMMANDS, load
from tests.deploy.built import Document, Pod

USERS = {
    "ingest": ("ingest",),
    "detect": ("detect",),
    "aggregate": ("aggregate",),
    "fleet": ("detect",),
    "audit": ("operator",),
    "canary": ("operator",),
    "cameras": ("operator",),
    "export": ("operator",),
    "refresh": ("operator", "detect"),
    "topics": ("admin",),
    "up": (),
}
"""By whose rights on the brokers a command acts; `up` in a school has a log of its own."""


def parse(words: Sequence[str]) -> None:
    """Raises click's UsageError, or KeyError, for a command line that `classpulse` would refuse."""
    name, *rest = words
    if name not in COMMANDS:
        raise KeyError(f"{name}: no command of classpulse")
    command = load(name)
    if isinstance(command, TyperGroup):
        command = command.commands[rest.pop(0)]
    command.make_context(name, rest)


def command_lines(pod: Pod) -> Iterator[list[str]]:
    """Every call of `classpulse` in a pod: its arguments, as the container gets them."""
    for one in pod.containers:
        if one["image"].startswith("classpulse/") and "command" not in one and "args" in one:
            yield [value.replace("$(PLACE)", "0") for value in one["args"]]
        hook = one.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        if hook:
            yield _first(hook[-1])


def entrypoint(job: Document) -> list[str]:
    """The call of a RayJob."""
    return _first(job["spec"]["entrypoint"])


def _first(line: str) -> list[str]:
    program, *words = shlex.split(line.partition(";")[0])
    assert program == "classpulse", line
    return words
