import re
from html.parser import HTMLParser

import pytest

from classpulse.drawing.lanes import rows_of
from classpulse.drawing.laying import laid
from classpulse.drawing.palette import INKS, OTHER_INKS, ink_of
from classpulse.drawing.scale import DAY_MS, Scale, least_step, number
from classpulse.page import COLUMNS_IN_ALL, Card, Panel, Score, timeline_page
from classpulse.reading import Cell, RoomTimeline, Span, State
from tests.services.page.rooms import BUCKET_MS, MONDAY_MS, lesson, school_day

HOUR_MS = 3_600_000


class Reader(HTMLParser):
    """Checks that what is opened is closed, and collects tags with their attributes and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [tag] if tag != "meta" else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def classes(self) -> list[str]:
        return [name for _, attrs in self.tags for name in (attrs.get("class") or "").split()]


def page_of(*panels: Panel, **more: object) -> str:
    return timeline_page(panels, title="Timelines", **more)  # type: ignore[arg-type]


def bare(*cells: Cell, spans: tuple[Span, ...] = (), room: str = "demo/school/room-1") -> Panel:
    start_ms, end_ms = cells[0].start_ms, cells[-1].end_ms
    return Panel(RoomTimeline(room, "UTC", start_ms, end_ms, cells, spans))


def drawn(page: str) -> list[str]:
    """The kinds of ground in the plots, without the legend and the ribbon."""
    plots = "".join(re.findall(r'<div class="scroll".*?</svg>', page, re.DOTALL))
    without_ribbon = re.sub(r"<g>.*?</g>", "", plots, flags=re.DOTALL)
    return re.findall(r'class="(ground|unseen|nobody)"', without_ribbon)


def test_a_page_without_rooms_says_that_nothing_has_been_recorded() -> None:
    page = page_of()
    assert "Nothing has been recorded." in page
    assert "<script>" not in page


def test_a_room_without_a_record_is_named_and_drawn_without_error() -> None:
    page = page_of(Panel(RoomTimeline("demo/school/room-1", "UTC", 0, 0, (), ())))
    assert "demo/school/room-1: no record" in page


def test_quiet_unseen_nobody_and_no_record_are_four_different_grounds() -> None:
    def ground_of(cell: Cell) -> list[str]:
        return drawn(page_of(bare(cell)))

    full = {"recorded_ms": BUCKET_MS, "due_ms": BUCKET_MS, "observed_ms": BUCKET_MS}
    quiet = ground_of(Cell(0, BUCKET_MS, **full))  # type: ignore[arg-type]
    unseen = ground_of(Cell(0, BUCKET_MS, **(full | {"observed_ms": 0})))  # type: ignore[arg-type]
    nobody = ground_of(Cell(0, BUCKET_MS, recorded_ms=BUCKET_MS))
    assert (quiet, unseen, nobody) == (["ground"], ["ground", "unseen"], ["ground", "nobody"])
    assert ground_of(Cell(0, BUCKET_MS)) == []


def test_a_partly_seen_bucket_is_hatched_paler_than_one_that_was_not_seen() -> None:
    cell = Cell(0, BUCKET_MS, recorded_ms=BUCKET_MS, due_ms=BUCKET_MS, observed_ms=BUCKET_MS // 2)
    assert re.search(r'class="unseen"[^>]* opacity="0.45"', page_of(bare(cell)))


def test_the_ribbon_gives_each_share_its_part_of_the_height() -> None:
    cell = Cell(0, BUCKET_MS, recorded_ms=BUCKET_MS, due_ms=BUCKET_MS // 2, observed_ms=BUCKET_MS // 4)
    plot = re.findall(r"<g><title>.*?</g>", page_of(bare(cell)), re.DOTALL)[0]
    assert re.findall(r'class="(\w+)"[^>]*height="([\d.]+)"', plot) == [("nobody", "6"), ("unseen", "3"), ("seen", "3")]


def test_a_bucket_in_which_a_lesson_begins_is_drawn_from_its_beginning_on() -> None:
    def cell(start_ms: int, due_ms: int) -> Cell:
        return Cell(start_ms, start_ms + BUCKET_MS, BUCKET_MS, due_ms, due_ms)

    first, begins, full, ends = cell(0, 0), cell(10_000, 3000), cell(20_000, 10_000), cell(30_000, 4000)
    parts = [(part.start_ms, part.end_ms, part.state) for part in laid([first, begins, full, ends])]
    assert parts == [
        (0, 10_000, State.NOBODY),
        (10_000, 17_000, State.NOBODY),
        (17_000, 20_000, State.QUIET),
        (20_000, 30_000, State.QUIET),
        (30_000, 34_000, State.QUIET),
        (34_000, 40_000, State.NOBODY),
    ]


def test_what_a_provisional_bucket_does_not_tell_yet_is_no_time_in_which_nobody_was_due() -> None:
    full = Cell(0, BUCKET_MS, BUCKET_MS, BUCKET_MS, BUCKET_MS)
    open_ = Cell(BUCKET_MS, 2 * BUCKET_MS, BUCKET_MS, 4000, 4000, final=False)
    assert [part.state for part in laid([full, open_])] == [State.QUIET, State.QUIET, State.UNRECORDED]


def test_a_bucket_whose_neighbours_do_not_tell_stays_whole() -> None:
    short = Cell(0, BUCKET_MS, BUCKET_MS, 3000, 3000)
    full = Cell(BUCKET_MS, 2 * BUCKET_MS, BUCKET_MS, BUCKET_MS, BUCKET_MS)
    again = Cell(2 * BUCKET_MS, 3 * BUCKET_MS, BUCKET_MS, 3000, 3000)
    after = Cell(3 * BUCKET_MS, 4 * BUCKET_MS, BUCKET_MS, BUCKET_MS, BUCKET_MS)
    assert laid([]) == ()
    assert laid([short]) == (short,)
    assert laid([full, again, after])[1] == again


def test_found_true_missed_and_false_are_four_different_bars() -> None:
    classes = re.findall(r'<rect class="([ft] b\d(?: no)?)"', page_of(lesson(1)))
    kinds = {re.sub(r" b\d", "", name) for name in classes}
    assert kinds == {"f", "f no", "t", "t no"}


def test_every_span_of_a_short_time_is_a_bar_that_says_what_it_is() -> None:
    panel = lesson(2)
    page = page_of(panel)
    plots = page[page.index('class="panel"') :]
    assert len(re.findall(r'class="f b\d', plots)) == len(panel.timeline.spans)
    assert len(re.findall(r'class="t b\d', plots)) == len(panel.truths or ())
    assert "hand-raising: found, 08:0" in page


def test_a_span_that_still_lasts_reaches_the_end_and_says_so() -> None:
    span = Span("t/s/r/c/0/sleeping/5000/0", "sleeping", 5000, None, "m")
    cell = Cell(0, BUCKET_MS, recorded_ms=BUCKET_MS, due_ms=BUCKET_MS, observed_ms=BUCKET_MS)
    page = page_of(bare(cell, spans=(span,)))
    assert re.search(r'class="f b2" x="50%" width="50%"', page)
    assert "still lasts" in page


def test_words_from_outside_cannot_become_markup() -> None:
    evil = "<script>alert(1)</script>"
    span = Span("t/s/r/c/0/x/0/0", evil, 0, 500, evil)
    cell = Cell(0, BUCKET_MS, BUCKET_MS, BUCKET_MS, 9000, 1, {evil: 1}, {}, (evil,))
    panel = bare(cell, spans=(span,), room=f"demo/school/{evil}")
    page = page_of(panel, cards=[Card(evil, evil, evil)], scores=[Score(evil, 1, 1, 0, 0, 1.0, 1.0, 1.0)], notes=[evil])
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") > 8


def test_the_page_fetches_nothing_and_forbids_it() -> None:
    page = page_of(lesson(1))
    assert "default-src 'none'" in page
    links = [v for _, attrs in Reader(page).tags for k, v in attrs.items() if k in ("src", "href", "xlink:href")]
    assert [link for link in links if not (link or "").startswith("#")] == []
    assert re.findall(r"https?://", page) == []
    assert set(re.findall(r"url\(([^)]*)\)", page)) == {"#unseen", "#nobody"}


@pytest.mark.parametrize("panels", [[], [lesson(1)], [school_day(0)], [school_day(i) for i in range(7)]])
def test_what_is_opened_is_closed_and_ids_are_unique(panels: list[Panel]) -> None:
    reader = Reader(page_of(*panels))
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert reader.open == []
    assert len(ids) == len(set(ids))


def test_each_plot_is_described_in_words_and_numbers_for_who_cannot_see_it() -> None:
    panel = lesson(1)
    page = page_of(panel)
    (said,) = re.findall(r'<desc id="d0">(.*?)</desc>', page)
    hands = sum(span.behaviour == "hand-raising" for span in panel.timeline.spans)
    assert said.startswith("demo/school/room-1, Monday, 02 March 2026, 08:00:00 to 08:02:00")
    assert f"{hands} hand-raising" in said
    assert 'role="img" aria-labelledby="d0"' in page
    assert "<td>unknown</td>" in page


def test_a_school_day_is_columns_of_people_with_the_truth_about_holes() -> None:
    page = page_of(school_day(3))
    assert 'class="mean b0"' in page
    assert not re.search(r'class="f b\d"', page)
    assert {"ground", "unseen", "nobody"} <= set(drawn(page))
    assert "people on average / at most, per 2 min" in page


def test_a_column_is_people_on_average_while_seen_not_while_unseen() -> None:
    cell = bucket_of(people_ms=5000, observed_ms=5000)
    rest = Cell(BUCKET_MS, 2 * HOUR_MS, recorded_ms=2 * HOUR_MS - BUCKET_MS)
    assert "1.00 people on average while seen, at most 2 at once" in page_of(bare(cell, rest))


def bucket_of(*, people_ms: int, observed_ms: int) -> Cell:
    from classpulse.records import BehaviourTotals

    people = {"hand-raising": BehaviourTotals(events=1, person_ms=people_ms, peak=2)}
    return Cell(0, BUCKET_MS, BUCKET_MS, BUCKET_MS, observed_ms, 10, {}, people)


def test_fifty_rooms_over_a_school_day_stay_a_page_that_opens() -> None:
    page = page_of(*(school_day(i) for i in range(50)))
    assert page.count('class="panel"') == 50
    assert len(page) < 6_000_000
    assert len(re.findall(r'class="(?:mean|peak) b', page)) < 2 * COLUMNS_IN_ALL
    assert page.count('<a href="#room-') == 50


def test_a_room_seen_too_little_is_marked_and_a_wholly_unseen_one_too() -> None:
    cell = Cell(0, BUCKET_MS, recorded_ms=BUCKET_MS, due_ms=BUCKET_MS)
    assert '<p class="warn">seen 0.0 % of the time</p>' in page_of(bare(cell))


def test_a_score_without_anything_to_divide_by_is_a_dash() -> None:
    page = page_of(lesson(1), scores=[Score("sleeping", 0, 0, 0, 0, None, None, None)])
    assert "<td>–</td><td>–</td><td><b>–</b></td>" in page


def test_rows_hold_no_two_bars_at_the_same_time() -> None:
    assert rows_of([]) == []
    assert rows_of([(0, 10), (5, 8), (8, 12), (10, 20)]) == [0, 1, 1, 0]


def test_ticks_are_round_moments_of_the_rooms_own_clock() -> None:
    day = Scale(MONDAY_MS, MONDAY_MS + 8 * HOUR_MS)
    assert [tick.label for tick in day.ticks("Asia/Kolkata")][:2] == ["13:00", "14:00"]
    assert Scale(MONDAY_MS, MONDAY_MS + 20_000).ticks("UTC")[0].label == "07:00:02"
    assert Scale(MONDAY_MS, MONDAY_MS + 9 * DAY_MS).ticks("UTC")[0].label == "Tue 03 Mar"
    assert Scale(MONDAY_MS, MONDAY_MS).ticks("UTC") == []


def test_a_step_is_the_least_that_gives_no_more_than_asked() -> None:
    assert [least_step(ms, 10) for ms in (0, 10_000, 10_001, 8 * HOUR_MS)] == [1000, 1000, 2000, HOUR_MS]
    assert least_step(1000 * DAY_MS, 10) == 100 * DAY_MS


def test_coordinates_are_short() -> None:
    assert [number(v) for v in (0, 50.0, 33.33333, 1e-9)] == ["0", "50", "33.333", "0"]


def test_every_ink_can_be_read_on_its_page() -> None:
    for ink in (*INKS.values(), *OTHER_INKS):
        assert contrast(ink.light, "#ffffff") >= 4.5
        assert contrast(ink.dark, "#1b1f27") >= 4.5


def test_behaviours_without_colours_of_their_own_get_different_ones() -> None:
    names = ("hand-raising", "reading", "writing")
    assert ink_of("reading", names) != ink_of("writing", names)
    assert ink_of("hand-raising", names) == INKS["hand-raising"]


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast of two #rrggbb colours."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
