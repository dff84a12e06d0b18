"""Between the reading and the publishing thread: newest wins, or the reader waits; order is kept, memory is bounded."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from classpulse.ingest.camera import Beat, Gone, Item, Picked
from classpulse.ingest.handover import MOST_ITEMS, MOST_PICTURES, Handover, queued
from classpulse.records import CameraState, IngestState
from tests.services.ingest.making import CAMERA, StillPicture


def state(epoch: int, next_sequence: int, at_ms: int) -> IngestState:
    return IngestState(
        camera=CAMERA,
        source="rtsp://c",
        epoch=epoch,
        next_sequence=next_sequence,
        last_ms=at_ms,
        position_ms=at_ms,
        started_at_ms=0,
    )


def picked(sequence: int, *, epoch: int = 0) -> Picked:
    at_ms = 100 * sequence
    return Picked(state(epoch, sequence + 1, at_ms), at_ms, 100, StillPicture(at_ms))


def beat(said: CameraState, at_ms: int, *, epoch: int = 0, next_sequence: int = 0) -> Beat:
    return Beat(state(epoch, next_sequence, at_ms), at_ms, said)


def spans(items: list[Item]) -> list[object]:
    """(first, last, reason) of what is gone, sequences of pictures, states of heartbeats."""
    return [
        (i.first_sequence, i.last_sequence, i.reason)
        if isinstance(i, Gone)
        else (i.sequence if isinstance(i, Picked) else i.said)
        for i in items
    ]


def add(items: list[Item], *new: Item, reason: str = "queue_full") -> list[Item]:
    return queued(items, new, newest_wins=True, reason=reason)


def test_nothing_added_to_nothing_is_nothing() -> None:
    assert add([]) == []


def test_the_newest_picture_wins_and_the_others_are_told_in_order_as_one_span() -> None:
    items: list[Item] = []
    for sequence in range(4):
        items = add(items, picked(sequence))
    assert spans(items) == [(0, 2, "queue_full"), 3]
    gone = items[0]
    assert isinstance(gone, Gone)
    assert (gone.first_ms, gone.last_ms, gone.state.next_sequence) == (0, 200, 3)


def test_reasons_and_epochs_are_not_mixed() -> None:
    items = add(add([], picked(0)), picked(1), reason="disk_full")
    items = add(add(items, picked(2)), picked(0, epoch=1))
    assert spans(items) == [(0, 0, "disk_full"), (1, 2, "queue_full"), 0]
    assert [item.state.epoch for item in items] == [0, 0, 1]


def test_a_sign_of_life_that_something_follows_need_not_be_told() -> None:
    assert spans(add([beat("up", 50)], picked(1))) == [1]
    assert spans(add([beat("up", 50)], beat("up", 1_050))) == ["up"]


def test_the_same_state_told_again_is_told_once_and_a_change_always() -> None:
    items = add([], beat("silent", 1), beat("silent", 2), beat("connecting", 3), beat("silent", 4), beat("off", 5))
    assert spans(items) == ["silent", "connecting", "silent", "off"]
    assert [item.at_ms for item in items if isinstance(item, Beat)] == [2, 3, 4, 5]


def test_with_back_pressure_every_picture_stays() -> None:
    items = queued([picked(0)], [picked(1), picked(2)], newest_wins=False, reason="queue_full")
    assert spans(items) == [0, 1, 2]


@given(st.lists(st.sampled_from(["picture", "silent", "reconnect"]), max_size=1_200))
def test_memory_is_bounded_whatever_happens_while_the_bus_stands_still(story: list[str]) -> None:
    items: list[Item] = []
    epoch = sequence = 0
    for number, what in enumerate(story):
        if what == "picture":
            items, sequence = add(items, picked(sequence, epoch=epoch)), sequence + 1
        elif what == "silent":
            items = add(items, beat("silent", number, epoch=epoch, next_sequence=sequence))
        else:
            epoch, sequence = epoch + 1, 0
    assert len(items) <= MOST_ITEMS
    assert [i.state.epoch for i in items] == sorted(i.state.epoch for i in items)


@given(st.lists(st.integers(0, 5), max_size=60))
def test_whatever_is_taken_in_between_every_sequence_is_told_once(takes: list[int]) -> None:
    handover, told = Handover(newest_wins=True), []
    for sequence, take in enumerate(takes):
        handover.give(lambda sequence=sequence: [picked(sequence)])  # type: ignore[misc]
        if take == 0:
            told += handover.take(0)
    told += handover.take(0)
    sequences = []
    for item in told:
        if isinstance(item, Gone):
            sequences += list(range(item.first_sequence, item.last_sequence + 1))
        elif isinstance(item, Picked):
            sequences.append(item.sequence)
    assert sequences == list(range(len(takes)))


def full() -> Handover:
    """A complete camera's handover that holds as many pictures as it may."""
    handover = Handover(newest_wins=False)
    for sequence in range(MOST_PICTURES):
        assert handover.give(lambda sequence=sequence: [picked(sequence)])
    return handover


def test_a_complete_cameras_reader_waits_until_its_pictures_are_taken() -> None:
    handover = full()
    done = threading.Event()
    thread = threading.Thread(target=lambda: (handover.give(lambda: [picked(MOST_PICTURES)]), done.set()), daemon=True)
    thread.start()
    assert not done.wait(0.05)
    assert spans(handover.take(0)) == list(range(MOST_PICTURES))
    assert done.wait(5)
    assert spans(handover.take(0)) == [MOST_PICTURES]


def test_closing_lets_a_waiting_reader_go_without_asking_for_its_picture() -> None:
    handover, asked, answers = full(), [], []

    def make() -> list[Item]:
        asked.append(True)
        return [picked(1)]

    thread = threading.Thread(target=lambda: answers.append(handover.give(make)), daemon=True)
    thread.start()
    handover.close()
    thread.join(5)
    assert answers == [False]
    assert not asked
    assert spans(handover.take(0)) == list(range(MOST_PICTURES)), "what was given before can still be told"
