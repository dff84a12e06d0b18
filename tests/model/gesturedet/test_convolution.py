import copy

import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")

from gesturedet.convolution import ConvBn, fold_batch_norm, pad_same, settle_batch_norm  # noqa: E402
from gesturedet.detector import CLASSROOM, GestureDet  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("side", "padded"),
    [(4, [1.0, 1.0, 1.0, 1.0, 0.0]), (3, [0.0, 1.0, 1.0, 1.0, 0.0])],
)
def test_an_even_side_is_padded_at_its_far_end_only(side: int, padded: list[float]) -> None:
    row = pad_same(torch.ones(1, 1, side, side))[0, 0, 1]
    assert row.tolist() == padded


def test_a_halving_convolution_looks_at_the_same_places_as_tensorflow() -> None:
    brick = ConvBn(1, 1, 3, stride=2, activation=False).eval()
    with torch.no_grad():
        brick.conv.weight.fill_(1.0)
        sums = brick(torch.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    # windows start at 0 and 2: rows 0-2 by columns 0-2 of 0..15 sum to 45, columns 2-3 to 39, and so on
    expected = torch.tensor([[45.0, 39.0], [66.0, 50.0]]) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(sums, expected)


def shaken_net() -> GestureDet:
    torch.manual_seed(0)
    net = GestureDet(CLASSROOM)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
    settle_batch_norm(net, torch.randn(2, 3, 96, 96))
    return net.eval()


def test_folding_batch_norm_changes_no_output_and_leaves_the_model_alone() -> None:
    net, images = shaken_net(), torch.randn(1, 3, 96, 96)
    folded = fold_batch_norm(net)
    with torch.no_grad():
        for one, other in zip(net(images), folded(images), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())


def test_settling_batch_norm_changes_no_output_but_makes_training_see_the_same_maps() -> None:
    brick, images = ConvBn(3, 8, 3), torch.randn(4, 3, 16, 16) * 5 + 2
    with torch.no_grad():
        brick.eval()
        before = brick(images)
        assert (copy.deepcopy(brick).train()(images) - before).abs().max() > 0.5
        settle_batch_norm(brick, images)
        torch.testing.assert_close(brick(images), before, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(brick.train()(images), before, atol=1e-4, rtol=1e-4)
