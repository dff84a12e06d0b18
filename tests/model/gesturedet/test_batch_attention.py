import pytest

torch = pytest.importorskip("torch", reason="the loss needs torch (the train extra)")

from gesturedet.loss import LossConfig, attention_weights  # noqa: E402

CONFIG = LossConfig()


def weights(ce: list[float], localisation: list[float], config: LossConfig = CONFIG) -> list[float]:
    result: list[float] = attention_weights(torch.tensor(ce), torch.tensor(localisation), config).tolist()
    return result


def test_no_positives_have_no_weights() -> None:
    assert weights([], []) == []


def test_one_positive_keeps_weight_one() -> None:
    assert weights([0.7], [3.0]) == pytest.approx([1.0])


def test_two_positives_by_hand() -> None:
    # l_cls 1 and 3, l_loc 0.5 and 2.
    # 1/l_loc: 2 and 0.5, shares 0.8 and 0.2; l_cls shares 0.25 and 0.75.
    # w' = 0.5·0.8 + 0.5·0.25 = 0.525 and 0.5·0.2 + 0.5·0.75 = 0.475 (equation 1).
    # Σ CE = 4, Σ w' CE = 0.525 + 1.425 = 1.95, so w = w' · 4 / 1.95 (equation 3).
    assert weights([1.0, 3.0], [0.5, 2.0]) == pytest.approx([0.525 * 4 / 1.95, 0.475 * 4 / 1.95])


def test_alpha_and_beta_choose_between_place_and_class() -> None:
    place = weights([1.0, 1.0], [0.5, 2.0], LossConfig(alpha=1.0, beta=0.0))
    by_class = weights([1.0, 3.0], [1.0, 1.0], LossConfig(alpha=0.0, beta=1.0))

    assert place == pytest.approx([1.6, 0.4])  # shares 0.8 and 0.2 of a total of 2
    assert by_class == pytest.approx([0.25 * 4 / 2.5, 0.75 * 4 / 2.5])  # Σ w' CE = 0.25 + 2.25


def test_the_total_of_the_positives_is_preserved() -> None:
    generator = torch.Generator().manual_seed(0)
    ce, localisation = torch.rand(50, generator=generator) * 5, torch.rand(50, generator=generator) * 3

    weighted = attention_weights(ce, localisation, CONFIG) * ce

    assert float(weighted.sum()) == pytest.approx(float(ce.sum()), rel=1e-5)


def test_a_perfectly_placed_positive_keeps_the_weights_finite() -> None:
    # Clamped to 0.01: 1/l_loc 100 and 1, shares 100/101 and 1/101.
    first, second = 0.5 * 100 / 101 + 0.25, 0.5 / 101 + 0.25

    assert weights([1.0, 1.0], [0.0, 1.0]) == pytest.approx([2 * first, 2 * second])


def test_positives_without_classification_loss_are_left_unweighted() -> None:
    assert weights([0.0, 0.0], [1.0, 2.0]) == [1.0, 1.0]


def test_no_gradient_flows_through_the_weights() -> None:
    ce = torch.tensor([1.0, 3.0], requires_grad=True)
    localisation = torch.tensor([0.5, 2.0], requires_grad=True)

    result = attention_weights(ce, localisation, CONFIG)
    (result * ce).sum().backward()

    assert not result.requires_grad
    assert ce.grad is not None
    torch.testing.assert_close(ce.grad, result)
    assert localisation.grad is None
