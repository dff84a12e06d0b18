"""What can go wrong, and who mends it. Only stage.py applies these; `main` functions turn them into exit codes.

ClassPulseError
├── Recoverable          try again later: nothing was lost
│   └── StorageFull      wait for room on the disk, then go on
├── InvalidRecord        put it aside as a dead letter, with its reason; go on with the next
│   └── RecordTooLarge   this one can never be accepted: it fails alone
├── Fatal                log once and exit; the supervisor (or Kubernetes) starts a fresh process
│   └── Fenced           a successor owns this place now: exit without writing
└── BadInput             a person's input is wrong: every fault at once, exit code 2
"""

from collections.abc import Sequence


class ClassPulseError(Exception):
    """The root: everything this package raises on purpose."""


class Recoverable(ClassPulseError):
    """Nothing was lost; the same call may succeed later."""


class StorageFull(Recoverable):
    """The disk (or the bus's own limit) has no room; committed data is safe."""


UNREADABLE = (
    "empty",
    "no_type",
    "unknown_type",
    "unknown_version",
    "wrong_type",
    "bad_headers",
    "from_the_future",
    "corrupt_jpeg",
    "bad_size",
)
"""The reasons of dead letters."""


class InvalidRecord(ClassPulseError):
    """A record that cannot be read. `reason` is a short stable word for counters and dead letters (one of UNREADABLE)."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class RecordTooLarge(InvalidRecord):
    """A record above its topic's limit; it is refused alone and what else was to be written still can be."""

    def __init__(self, detail: str) -> None:
        super().__init__("too_large", detail)


class Fatal(ClassPulseError):
    """The process cannot go on; a fresh one may."""


class Fenced(Fatal):
    """Another process took this member's place; anything it wrote now would be a second voice."""


class BadInput(ClassPulseError):
    """What a person gave is wrong. Holds every fault found, one line each, so all can be mended in one go."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
