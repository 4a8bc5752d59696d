# SPDX-License-Identifier: Apache-2.0
"""The units' bit-exact models in PyTorch networks: `softnorm.flow.pytorch` by a shorter name."""

from softnorm.flow.pytorch import *  # noqa: F403
from softnorm.flow.pytorch import __all__ as __all__
