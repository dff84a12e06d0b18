import pytest

from gesturedet.labels import BACKGROUND_CLASS, BEHAVIOURS, behaviour_of, class_of


def test_behaviours_keep_their_order_because_trained_nets_depend_on_it() -> None:
    assert BEHAVIOURS == ("hand-raising", "stand-up", "sleeping")
    assert [class_of(name) for name in BEHAVIOURS] == [1, 2, 3]


def test_a_class_index_gives_back_its_name() -> None:
    assert [behaviour_of(class_of(name)) for name in BEHAVIOURS] == list(BEHAVIOURS)


@pytest.mark.parametrize("class_id", [BACKGROUND_CLASS, -1, 4])
def test_an_index_without_behaviour_is_refused(class_id: int) -> None:
    with pytest.raises(ValueError, match=rf"class_id: {class_id} is no behaviour, expected 1 to 3"):
        behaviour_of(class_id)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"behaviour: 'waving' is none of hand-raising, stand-up, sleeping"):
        class_of("waving")
