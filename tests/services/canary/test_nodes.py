"""Whose turn it is: nodes are known by what detect reports, move, and are forgotten."""

from itertools import count

from classpulse.canary.nodes import FORGOTTEN_AFTER, Nodes, Turn
from classpulse.records import CameraReport
from classpulse.topics import FRAMES, partition_of


def camera_at(partition: int, school: str = "t/s") -> str:
    names = (f"{school}/room/{number}" for number in count())
    return next(one for one in names if partition_of(one, FRAMES.partitions) == partition)


def report(node: str, partition: int, *, stage: str = "detect", school: str = "t/s") -> CameraReport:
    return CameraReport(camera=camera_at(partition, school), at_ms=0, stage=stage, state="up", node=node)


def heard(*reports: CameraReport) -> Nodes:
    nodes = Nodes()
    for one in reports:
        nodes.hear(one)
    return nodes


def pass_rounds(nodes: Nodes, rounds: int, *reports: CameraReport) -> None:
    for _ in range(rounds):
        nodes.turns()
        for one in reports:
            nodes.hear(one)


def test_without_a_report_it_is_nobody_s_turn() -> None:
    assert heard().turns() == []


def test_reports_of_ingest_and_of_a_detect_that_does_not_say_where_it_is_name_no_node() -> None:
    assert heard(report("a", 1, stage="ingest"), report("", 1)).turns() == []


def test_each_node_has_a_turn_in_a_school_that_it_looks_at() -> None:
    nodes = heard(report("b", 2, school="t/x"), report("a", 5))
    assert nodes.turns() == [Turn("a", 5, "t/s"), Turn("b", 2, "t/x")]
    assert nodes.names == {"a", "b"}


def test_rounds_go_through_all_partitions_of_a_node() -> None:
    nodes = heard(report("a", 3), report("a", 9), report("a", 17))
    taken = []
    for _ in range(4):
        taken += [turn.partition for turn in nodes.turns()]
        nodes.hear(report("a", 3))
    assert taken == [3, 9, 17, 3]


def test_a_partition_that_another_node_reports_has_moved() -> None:
    nodes = heard(report("a", 3), report("a", 9), report("b", 3))
    assert nodes.turns() == [Turn("a", 9, "t/s"), Turn("b", 3, "t/s")]
    nodes.hear(report("b", 9))
    assert nodes.turns() == [Turn("b", 9, "t/s")]


def test_a_node_that_says_nothing_any_more_is_forgotten_after_some_rounds() -> None:
    nodes = heard(report("a", 3), report("b", 9))
    pass_rounds(nodes, FORGOTTEN_AFTER, report("b", 9))
    assert nodes.names == {"a", "b"}
    pass_rounds(nodes, 1)
    assert nodes.names == {"b"}


def test_a_node_whose_lesson_was_missed_stays_until_it_reports_again_or_its_lesson_comes() -> None:
    nodes = heard(report("a", 3))
    nodes.judge("a", missed=True)
    pass_rounds(nodes, 3 * FORGOTTEN_AFTER)
    assert nodes.turns() == [Turn("a", 3, "t/s")]
    nodes.hear(report("a", 3))
    pass_rounds(nodes, FORGOTTEN_AFTER + 1)
    assert nodes.names == set()
    again = heard(report("a", 3))
    again.judge("a", missed=True)
    pass_rounds(again, FORGOTTEN_AFTER)
    again.judge("a", missed=False)
    assert again.turns() == []


def test_a_node_whose_lesson_was_missed_is_gone_when_others_look_at_all_that_it_had() -> None:
    nodes = heard(report("a", 3), report("a", 9))
    nodes.judge("a", missed=True)
    nodes.hear(report("b", 3))
    assert nodes.names == {"a", "b"}
    nodes.hear(report("b", 9))
    assert nodes.names == {"b"}
