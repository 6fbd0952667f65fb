"""What the fork server of together.py imports before it forks: each of these takes a process seconds."""

from torch.utils.tensorboard import SummaryWriter  # noqa: F401

from trainer.engine.networks.torchvision_shim import import_timm
from trainer.engine.training import run  # noqa: F401

import_timm()
