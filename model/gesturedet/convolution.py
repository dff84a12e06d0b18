"""The one brick of the net: convolution, batch norm, ReLU6.

Legend: B pictures, C channels, H and W the map.
"""

import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

Module = TypeVar("Module", bound=nn.Module)


class ConvBn(nn.Module):
    """A convolution whose map keeps its size, or is halved rounding up, followed by batch norm and ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        depthwise: bool = False,
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.halves = stride == 2
        padding = 0 if self.halves else dilation * (kernel - 1) // 2
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.activation: nn.Module = nn.ReLU6(inplace=True) if activation else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return a map of the same size, or of half the size rounded up."""
        x_BCHW = pad_same(x_BCHW) if self.halves else x_BCHW
        y_BCHW: Tensor = self.activation(self._frozen(x_BCHW) if self._is_frozen() else self.norm(self._filter(x_BCHW)))
        return y_BCHW

    def _is_frozen(self) -> bool:
        return not self.training and not self.conv.weight.requires_grad and isinstance(self.norm, nn.BatchNorm2d)

    def _frozen(self, x_BCHW: Tensor) -> Tensor:
        """Convolve and normalise in one: a batch norm on its running statistics only scales and shifts."""
        conv, norm = self.conv, cast(nn.BatchNorm2d, self.norm)
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        weight, bias = fuse_conv_bn_weights(conv.weight, None, mean, variance, norm.eps, norm.weight, norm.bias)
        return functional.conv2d(x_BCHW, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)

    def _filter(self, x_BCHW: Tensor) -> Tensor:
        conv = self.conv
        if not (self.halves and conv.groups > 1 and self.training and torch.is_autocast_enabled("cpu")):
            return cast(Tensor, conv(x_BCHW))
        # oneDNN has no fast gradient of a depthwise convolution of stride 2 in bf16: four times the places take a sixth of the time.
        y_BCHW = functional.conv2d(x_BCHW, conv.weight, groups=conv.groups)[:, :, ::2, ::2]
        return y_BCHW.contiguous(memory_format=torch.channels_last)


def pad_same(x_BCHW: Tensor) -> Tensor:
    """Pad for a 3 x 3 convolution of stride 2 as TensorFlow's "SAME" does.

    An even side gets one row or column of zeros at the far end only, an odd side one at each end. The ported weights were
    trained with it: with symmetric padding every map would be shifted against them, and accuracy would drop quietly.
    """
    height, width = x_BCHW.shape[-2:]
    return functional.pad(x_BCHW, (width % 2, 1, height % 2, 1))


def fold_batch_norm(model: Module) -> Module:
    """Return a copy for inference in which every batch norm has become part of the convolution before it."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, ConvBn) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv, module.norm = fuse_conv_bn_eval(module.conv, module.norm), nn.Identity()
    return model


@torch.no_grad()
def fill(brick: ConvBn, kernel: Tensor, bias: Tensor, *, layer: str) -> None:
    """Set convolution and bias; the batch norm is made to do nothing but add the bias.

    `layer` names it in errors. Raises ValueError for a folded batch norm or a kernel that does not fit.
    """
    norm = brick.norm
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        raise ValueError(f"{layer}: the net's batch norm is folded, expected a net as it is trained")
    if brick.conv.weight.shape != kernel.shape:
        raise ValueError(
            f"{layer}: kernel {tuple(kernel.shape)} does not fit, expected {tuple(brick.conv.weight.shape)}"
        )
    brick.conv.weight.copy_(kernel)
    norm.weight.fill_(1.0)
    norm.bias.copy_(bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0 - norm.eps)


@torch.no_grad()
def settle_batch_norm(model: nn.Module, images_BCHW: Tensor) -> None:
    """Make the batch norms' running statistics those of the given pictures without changing what the net computes.

    Ported weights come with batch norm folded away, so their statistics are unknown (mean 0, variance 1). Left so, the
    first step in training mode would normalise every map to another size. Scale and shift absorb the difference exactly.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def see(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        seen[module] = mean, variance

    handles = [norm.register_forward_pre_hook(see) for norm in norms]
    was_training = model.training
    model.eval()(images_BCHW)
    model.train(was_training)
    for handle in handles:
        handle.remove()
    for norm in norms:
        if norm in seen:
            _restate(norm, *seen[norm])


def _restate(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("norm: it keeps no running statistics, expected a batch norm that does")
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    norm.bias.add_(gain * (mean - norm.running_mean))
    norm.weight.copy_(gain * torch.sqrt(variance + norm.eps))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
