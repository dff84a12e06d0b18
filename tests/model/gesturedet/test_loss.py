import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the loss needs torch (the train extra)")

from gesturedet.loss import LossConfig, hard_negatives, multibox_loss  # noqa: E402

PLAIN = LossConfig(batch_attention=False, negatives_without_positive=2)
LN2 = math.log(2)


def targets(*labels: list[int]) -> tuple[Any, Any]:
    labels_BA = torch.tensor(labels)
    return labels_BA, torch.zeros(*labels_BA.shape, 4)


def test_a_batch_without_pictures_has_no_loss() -> None:
    loss = multibox_loss(torch.zeros(0, 5, 4), torch.zeros(0, 5, 4), *targets_of_nothing(), PLAIN)

    assert loss.total.item() == 0.0
    assert (loss.positives, loss.negatives) == (0, 0)


def targets_of_nothing() -> tuple[Any, Any]:
    return torch.zeros(0, 5, dtype=torch.int64), torch.zeros(0, 5, 4)


@pytest.mark.parametrize("attention", [True, False])
def test_a_batch_without_positives_has_a_finite_loss_and_teaches_its_hardest_negatives(attention: bool) -> None:
    logits = torch.zeros(1, 5, 2, requires_grad=True)
    offsets = torch.ones(1, 5, 4, requires_grad=True)
    config = LossConfig(batch_attention=attention, negatives_without_positive=2)

    loss = multibox_loss(logits, offsets, *targets([0, 0, 0, 0, 0]), config)
    torch.autograd.backward(loss.total)

    # two negatives of ln 2 each over max(0 positives, 2 / 3, 1) = 1
    assert loss.total.item() == pytest.approx(2 * LN2)
    assert (loss.positives, loss.negatives) == (0, 2)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert int((logits.grad.abs().sum(2) > 0).sum()) == 2
    assert offsets.grad is None or not offsets.grad.any()


def test_one_positive_by_hand() -> None:
    # 1 positive and 3 of 4 negatives, each ln 2; offsets off by 1 and 0.5: smooth L1 0.5 + 0.125.
    logits = torch.zeros(1, 5, 2)
    offsets = torch.zeros(1, 5, 4)
    offsets[0, 0, 0], offsets[0, 0, 1] = 1.0, 0.5

    for config in (PLAIN, LossConfig(negatives_without_positive=2)):
        loss = multibox_loss(logits, offsets, *targets([1, 0, 0, 0, 0]), config)

        assert float(loss.classification) == pytest.approx(4 * LN2)
        assert float(loss.localisation) == pytest.approx(0.625)
        assert loss.total.item() == pytest.approx(4 * LN2 + 0.625)
        assert (loss.positives, loss.negatives) == (1, 3)


def test_the_sum_is_divided_by_the_positives_of_the_batch() -> None:
    logits = torch.zeros(2, 10, 2)

    loss = multibox_loss(logits, torch.zeros(2, 10, 4), *targets([1, 1] + [0] * 8, [1] + [0] * 9), PLAIN)

    assert (loss.positives, loss.negatives) == (3, 9)
    assert loss.total.item() == pytest.approx(12 * LN2 / 3)


def test_pictures_without_positives_do_not_drown_the_others() -> None:
    # 1 positive, 3 + 2 negatives: the divisor is 5 / 3 rather than 1.
    loss = multibox_loss(torch.zeros(2, 5, 2), torch.zeros(2, 5, 4), *targets([1, 0, 0, 0, 0], [0] * 5), PLAIN)

    assert loss.total.item() == pytest.approx(6 * LN2 / (5 / 3))


def test_left_out_anchors_have_no_part_in_the_loss() -> None:
    logits = torch.zeros(1, 4, 2)
    logits[0, 3] = torch.tensor([-50.0, 50.0])
    logits.requires_grad_()

    loss = multibox_loss(logits, torch.zeros(1, 4, 4), *targets([1, 0, 0, -1]), PLAIN)
    torch.autograd.backward(loss.total)

    assert loss.total.item() == pytest.approx(3 * LN2)
    assert logits.grad is not None
    assert not logits.grad[0, 3].any()


def test_a_picture_with_one_positive_gives_three_negatives_and_one_without_gives_its_own_number() -> None:
    labels, _ = targets([1] + [0] * 40, [0] * 41)

    mined = hard_negatives(torch.rand(2, 41), labels, LossConfig(negatives_without_positive=8))

    assert mined.sum(dim=1).tolist() == [3, 8]


def test_the_hardest_negatives_of_each_picture_are_mined() -> None:
    ce = torch.tensor([[9.0, 1.0, 5.0, 3.0, 4.0, 2.0], [0.1, 0.6, 0.2, 0.5, 0.3, 0.4]])
    labels, _ = targets([1, 0, 0, 0, 0, 0], [0, 0, 0, -1, 0, 0])

    mined = hard_negatives(ce, labels, PLAIN)

    assert mined.tolist() == [[False, False, True, True, True, False], [False, True, False, False, False, True]]


def test_no_more_negatives_are_mined_than_there_are() -> None:
    labels, _ = targets([1, 1, 0, -1])

    assert hard_negatives(torch.ones(1, 4), labels, LossConfig()).tolist() == [[False, False, True, False]]


def test_batch_attention_changes_gradients_but_not_the_loss() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 20, 4, generator=generator)
    offsets = torch.randn(2, 20, 4, generator=generator)
    labels, wanted = targets([1, 2, 3] + [0] * 17, [2, 2] + [0] * 18)
    gradients, totals = [], []
    for attention in (True, False):
        leaf = logits.clone().requires_grad_()
        loss = multibox_loss(leaf, offsets, labels, wanted, LossConfig(batch_attention=attention))
        torch.autograd.backward(loss.total)
        assert leaf.grad is not None
        gradients.append(leaf.grad)
        totals.append(loss.total.item())

    assert totals[0] == pytest.approx(totals[1], rel=1e-5)
    assert not torch.allclose(gradients[0][labels > 0], gradients[1][labels > 0])
    torch.testing.assert_close(gradients[0][labels == 0], gradients[1][labels == 0])
