# SPDX-License-Identifier: Apache-2.0
"""The units' bit-exact models in PyTorch networks: any network's softmax and LayerNorms.

    from softnorm.flow.pytorch import evaluate_with

    with evaluate_with(model, batches, softmax="<unit> LANES=16", norm="<unit>"):
        outputs = model(**inputs)

Attention of Hugging Face transformers goes through an attention function of theirs; LayerNorms,
RMSNorms and nn.Softmax modules are found in the network. Calibration runs the float network on
example batches (docs/pytorch.md). Nothing is retrained, and there is no gradient.

Importing this needs PyTorch, which is optional (the extra `torch`): UserError without it.
"""

from .. import tools
from ..errors import UserError

if not tools.is_installed("torch"):
    raise UserError(f"the optional package torch is not installed; run: {tools.install('torch')}")

from ..calibration.choice import Choice, choose
from ..networks.stand_in import FittedNorm
from .calibration import Samples, record
from .evaluation import Evaluation, evaluate_with
from .modules import UnitNorm, UnitSoftmax

__all__ = [
    "Choice",
    "Evaluation",
    "FittedNorm",
    "Samples",
    "UnitNorm",
    "UnitSoftmax",
    "choose",
    "evaluate_with",
    "record",
]
