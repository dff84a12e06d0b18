"""Which packets need decoding."""

from classpulse.ingest.sources.keyframes import Keyframes, Want


def wants(keyframes: Keyframes, group_ms: int, count: int, *, step_ms: int = 100, due_ms: float = 0) -> list[Want]:
    """What is wanted of a stream with a keyframe every `group_ms`."""
    times = range(0, step_ms * count, step_ms)
    return [keyframes.want(t, keyframe=t % group_ms == 0, due_ms=due_ms) for t in times]


def test_everything_is_decoded_where_nothing_is_known_and_nothing_is_learned() -> None:
    assert set(wants(Keyframes(5_000), 1_000, 100)) == {Want.DECODE}


def test_keyframes_alone_are_decoded_where_they_come_twice_an_interval() -> None:
    found = wants(Keyframes(2_000, longest_ms=1_000), 1_000, 20)
    assert found == ([Want.ALONE] + [Want.SKIP] * 9) * 2
    assert set(wants(Keyframes(2_000, longest_ms=1_001), 1_000, 20)) == {Want.DECODE}


def test_keyframes_that_are_not_due_are_not_decoded_either() -> None:
    keyframes = Keyframes(2_000, longest_ms=100)
    assert keyframes.want(1_900, keyframe=True, due_ms=2_000) is Want.SKIP
    assert keyframes.want(2_000, keyframe=True, due_ms=2_000) is Want.ALONE


def test_the_distance_of_a_live_streams_keyframes_is_learned() -> None:
    found = wants(Keyframes(2_000, learn=True), 1_000, 60)
    assert found[:30] == [Want.DECODE] * 30, "three groups are watched first"
    assert found[30:] == ([Want.ALONE] + [Want.SKIP] * 9) * 3


def test_a_live_stream_whose_keyframes_become_rare_is_decoded_whole_again_from_a_keyframe_on() -> None:
    keyframes = Keyframes(2_000, learn=True)
    wants(keyframes, 1_000, 60)
    assert keyframes.want(6_500, keyframe=False, due_ms=0) is Want.SKIP
    assert keyframes.want(8_000, keyframe=True, due_ms=0) is Want.DECODE
    assert keyframes.want(8_100, keyframe=False, due_ms=0) is Want.DECODE
