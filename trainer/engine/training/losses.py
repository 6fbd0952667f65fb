"""What a network is punished for: the three losses of the thesis, equations 4 to 6."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mean_loss(
    name: str, logits: Tensor, labels: Tensor, *, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """The mean loss of n photos, a number: logits (n, c), labels (n,) indices.

    With ``weights`` (n,) each photo's loss is multiplied by its own.

    With p the photo's probabilities (softmax of its logits) and t = 1 for its label, 0 for all others:

    - ``absolute``: Σ |t − p| (equation 4);
    - ``squared``: ½ Σ (t − p)² (equation 5);
    - ``cross_entropy``: −Σ t log p (equation 6).

    ``smoothing`` moves that share of t from the label to all labels evenly.
    """
    if name == "cross_entropy":
        if weights is None:
            return F.cross_entropy(logits, labels, label_smoothing=smoothing)
        per_photo = F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
        return (per_photo * weights).mean()
    count = logits.shape[1]
    targets = F.one_hot(labels, count).to(logits.dtype) * (1 - smoothing) + smoothing / count
    gaps = targets - logits.softmax(1)
    per_photo = gaps.abs().sum(1) if name == "absolute" else gaps.square().sum(1) / 2
    return per_photo.mean() if weights is None else (per_photo * weights).mean()
