"""aggregate, the rules: when detections of a behaviour make an event (design.md section 7)."""

from types import MappingProxyType

from classpulse.records import RoomConfig, Rule

DEFAULT_RULES = MappingProxyType(
    {
        "hand-raising": Rule(least_score=0.92, least_duration_ms=500, longest_gap_ms=1_000),
        "stand-up": Rule(least_score=0.82, least_duration_ms=1_000, longest_gap_ms=2_000),
        "sleeping": Rule(least_score=0.8, least_duration_ms=20_000, longest_gap_ms=10_000),
    }
)
"""Scores say how often such a detection is right, so one number serves every calibrated model. Chosen on validation lessons
by `benchmarks/operating_point.py`; durations and gaps are the design's. A behaviour without a rule is counted and raises no
events."""


def rules_of(config: RoomConfig) -> dict[str, Rule]:
    """The rule of each behaviour in one room: the defaults, and over them what the room says."""
    return {**DEFAULT_RULES, **config.rules}
