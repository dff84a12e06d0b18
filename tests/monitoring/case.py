"""What a case is: when an alert fires, when it does not, and when it is over."""

from dataclasses import dataclass, field

Series = dict[str, str]
"""A series as promtool names it → its samples."""


@dataclass(frozen=True)
class Case:
    """`series` brings `alert` about: not yet at `before`, with `labels` at `fires`, and over at `after`; `never` never does."""

    alert: str
    series: Series
    never: Series
    before: int
    fires: int
    after: int
    labels: dict[str, str] = field(default_factory=dict)
    step: int = 1
