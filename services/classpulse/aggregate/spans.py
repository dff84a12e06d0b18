"""aggregate, first leg: detections of one behaviour, frame after frame → spans of one person's behaviour.

Pure and by time alone: how many frames there were never matters, only how long they spoke. A span lasts from its first
detection to the end of what its last detection's frame spoke for.
"""

from collections.abc import Sequence

import msgspec

from classpulse.records import Detection, Rule

LEAST_IOU = 0.2
"""Two boxes of neighbouring frames that overlap less are two people."""

MOST_PER_BEHAVIOUR = 256
"""Of a picture with more detections of one behaviour only the first this many are linked: a bound on time and state."""

Box = tuple[float, float, float, float]


class Span(msgspec.Struct, array_like=True):
    """One behaviour of somebody, still open. `live`: detected in the newest frame, so its end moves with the time.

    The rule's durations are those in force when it began.
    """

    behaviour: str
    start_ms: int
    ordinal: int
    least_duration_ms: int
    longest_gap_ms: int
    box_xyxy: Box
    end_ms: int
    model: str
    live: bool = True
    confirmed: bool = False

    @property
    def satisfied(self) -> bool:
        """Whether it has lasted as long as its rule wants."""
        return self.end_ms - self.start_ms >= self.least_duration_ms


def grow(spans: Sequence[Span], until_ms: int) -> None:
    """The newest frame has spoken up to `until_ms`: live spans last at least until then."""
    for span in spans:
        if span.live and span.end_ms < until_ms:
            span.end_ms = until_ms


def silence(spans: Sequence[Span]) -> None:
    """The newest frame speaks no longer: no span grows until it is detected again."""
    for span in spans:
        span.live = False


def over(spans: Sequence[Span], at_ms: int) -> list[Span]:
    """The spans whose gap at `at_ms` is longer than their rule allows."""
    return [span for span in spans if at_ms - span.end_ms > span.longest_gap_ms]


def follow(
    spans: Sequence[Span],
    seen: Sequence[Detection],
    at_ms: int,
    *,
    behaviour: str,
    rule: Rule,
    model: str,
    ordinal: int,
) -> list[Span]:
    """Continue `spans` with what one frame shows of the same behaviour; gives the spans that begin here.

    New ones are numbered from `ordinal`, left to right (then top to bottom).
    """
    unmatched: list[Box] = []
    considered = seen[:MOST_PER_BEHAVIOUR]
    for detection, span in zip(considered, match(spans, considered), strict=True):
        if span is None:
            unmatched.append(detection.box_xyxy)
        else:
            span.box_xyxy, span.model, span.live = detection.box_xyxy, model, True
            span.end_ms = max(span.end_ms, at_ms)
    return [
        Span(
            behaviour,
            at_ms,
            ordinal + place,
            rule.least_duration_ms,
            rule.longest_gap_ms,
            box_xyxy,
            at_ms,
            model,
        )
        for place, box_xyxy in enumerate(sorted(unmatched))
    ]


def match(spans: Sequence[Span], detections: Sequence[Detection]) -> list[Span | None]:
    """For each detection the span it continues: greedy by IoU, best first, ties by the order of spans, then detections."""
    pairs = [
        (-overlap, s, d)
        for s, span in enumerate(spans)
        for d, detection in enumerate(detections)
        if (overlap := iou(span.box_xyxy, detection.box_xyxy)) >= LEAST_IOU
    ]
    pairs.sort()
    found: list[Span | None] = [None] * len(detections)
    taken: set[int] = set()
    for _, s, d in pairs:
        if s not in taken and found[d] is None:
            taken.add(s)
            found[d] = spans[s]
    return found


def iou(a_xyxy: Box, b_xyxy: Box) -> float:
    """Intersection over union; 0 for boxes without area."""
    ax0, ay0, ax1, ay1 = a_xyxy
    bx0, by0, bx1, by1 = b_xyxy
    if ax1 <= bx0 or bx1 <= ax0 or ay1 <= by0 or by1 <= ay0:
        return 0.0  # most pairs: apart
    width, height = min(ax1, bx1) - max(ax0, bx0), min(ay1, by1) - max(ay0, by0)
    if width <= 0 or height <= 0:
        return 0.0  # a box turned inside out
    inner = width * height
    union = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inner
    return inner / union if union > 0 else 0.0
