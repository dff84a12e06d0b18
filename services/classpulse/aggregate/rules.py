"""aggregate, the rules: when detections of a behaviour make an event (design.md section 7)."""

from types import MappingProxyType

from classpulse.records import RoomConfig, Rule

DEFAULT_RULES = MappingProxyType(
    {
        "hand-raising": Rule(least_score=0.0, least_duration_ms=500, longest_gap_ms=1_000),
        "stand-up": Rule(least_score=0.0, least_duration_ms=1_000, longest_gap_ms=2_000),
        "sleeping": Rule(least_score=0.0, least_duration_ms=20_000, longest_gap_ms=10_000),
    }
)
"""Least score 0 means what the detector reported: it has applied its model card's thresholds already."""

ANY_SCORE = 0.0
"""A behaviour without a rule raises no events; it is counted wherever the detector reports it."""


def rules_of(config: RoomConfig) -> dict[str, Rule]:
    """The rule of each behaviour in one room: the defaults, and over them what the room says."""
    return {**DEFAULT_RULES, **config.rules}
