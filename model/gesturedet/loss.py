"""Head outputs and targets → the number to minimise: multibox loss with batch attention (training leg).

B pictures, A anchors, K classes (0 is background), P positives of the whole batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gesturedet.matching import BACKGROUND


@dataclass(frozen=True, slots=True)
class LossConfig:
    """How the parts of the loss are weighed.

    `negatives_without_positive`: pictures that show no behaviour (teachers, empty rooms) would teach nothing under a
    pure 3 : 1 rule, so each of them gives this many of its hardest negatives.
    `least_localisation`: below it a positive counts as perfectly placed; it keeps 1 / l_loc finite (equation 1).
    """

    batch_attention: bool = True
    alpha: float = 0.5
    beta: float = 0.5
    negatives_per_positive: int = 3
    negatives_without_positive: int = 8
    least_localisation: float = 0.01


@dataclass(frozen=True, slots=True)
class MultiboxLoss:
    """The loss of one batch; `total` is differentiable, its two parts are detached and add up to it."""

    total: Tensor
    classification: Tensor
    localisation: Tensor
    positives: int
    negatives: int


def multibox_loss(
    logits_BAK: Tensor, offsets_BA4: Tensor, labels_BA: Tensor, targets_BA4: Tensor, config: LossConfig
) -> MultiboxLoss:
    """Classification by equation 2 plus smooth L1 on the offsets of the positives.

    Labels: 0 background, above 0 a behaviour, below 0 left out. The sum is divided by the positives as in SSD, or by
    the mined negatives over `negatives_per_positive` where that is more: the same number while every picture shows a
    behaviour and has enough negatives, and still well defined for a batch that shows none.
    """
    ce_BA = _cross_entropy(logits_BAK, labels_BA)
    positive_BA = labels_BA > BACKGROUND
    mined_BA = hard_negatives(ce_BA.detach(), labels_BA, config)
    ce_P = ce_BA[positive_BA]
    localisation_P = functional.smooth_l1_loss(
        offsets_BA4[positive_BA], targets_BA4[positive_BA], reduction="none"
    ).sum(dim=1)
    weighted_P = ce_P * attention_weights(ce_P, localisation_P, config) if config.batch_attention else ce_P
    positives, negatives = len(ce_P), int(mined_BA.sum())
    divisor = max(positives, negatives / config.negatives_per_positive, 1.0)
    classification = (weighted_P.sum() + ce_BA[mined_BA].sum()) / divisor
    localisation = localisation_P.sum() / divisor
    return MultiboxLoss(
        classification + localisation, classification.detach(), localisation.detach(), positives, negatives
    )


def attention_weights(ce_P: Tensor, localisation_P: Tensor, config: LossConfig) -> Tensor:
    """Weights of the batch's positives by equations 1 and 3, without gradient.

    Well-placed positives (small l_loc) and hard ones (large l_cls) count more; the weighted classification loss of
    all positives together stays what it was. No positives give an empty tensor; a batch whose positives are
    already classified without loss is left unweighted.
    """
    ce_P = ce_P.detach()
    total = ce_P.sum()
    if len(ce_P) == 0 or float(total) <= 0.0:
        return torch.ones_like(ce_P)
    inverse_P = 1.0 / localisation_P.detach().clamp(min=config.least_localisation)
    raw_P = config.alpha * inverse_P / inverse_P.sum() + config.beta * ce_P / total  # equation 1
    return raw_P * total / (raw_P * ce_P).sum()  # equation 3


def hard_negatives(ce_BA: Tensor, labels_BA: Tensor, config: LossConfig) -> Tensor:
    """Mark, picture by picture, the background anchors that are most mistaken for a behaviour.

    `negatives_per_positive` for each positive of the picture, or `negatives_without_positive` where it has none.
    """
    background_BA = labels_BA == BACKGROUND
    positives_B = (labels_BA > BACKGROUND).sum(dim=1)
    wanted_B = (config.negatives_per_positive * positives_B).masked_fill(
        positives_B == 0, config.negatives_without_positive
    )
    wanted_B = torch.minimum(wanted_B, background_BA.sum(dim=1))
    most = int(wanted_B.max()) if len(wanted_B) else 0
    hardest_BN = ce_BA.masked_fill(~background_BA, -1.0).topk(most, dim=1).indices
    chosen_BN = torch.arange(most, device=ce_BA.device)[None, :] < wanted_B[:, None]
    return torch.zeros_like(background_BA).scatter_(1, hardest_BN, chosen_BN)


def _cross_entropy(logits_BAK: Tensor, labels_BA: Tensor) -> Tensor:
    log_probability_BAK = functional.log_softmax(logits_BAK.float(), dim=2)
    return -log_probability_BAK.gather(2, labels_BA.clamp(min=BACKGROUND)[:, :, None])[:, :, 0]
