"""The units' bit-exact models in PyTorch networks: any network's softmax and LayerNorms.

    from flow.pytorch import evaluate_with

    with evaluate_with(model, batches, softmax="<unit> LANES=16", norm="<unit>"):
        outputs = model(**inputs)

Attention of Hugging Face transformers goes through an attention function of theirs; LayerNorms,
RMSNorms and nn.Softmax modules are found in the network. Calibration runs the float network on
example batches (docs/pytorch.md). Nothing is retrained, and there is no gradient.

Importing this needs PyTorch, which is optional (requirements-torch.txt): UserError without it.
"""

import importlib.util
import sys

from flow.errors import UserError

if importlib.util.find_spec("torch") is None:
    raise UserError(
        "the optional package torch is not installed; "
        f"run: {sys.executable} -m pip install -r requirements-torch.txt"
    )

from flow.pytorch.calibration import Samples, record
from flow.pytorch.evaluation import Evaluation, evaluate_with
from flow.pytorch.modules import Choice, UnitNorm, UnitSoftmax, choose

__all__ = [
    "Choice",
    "Evaluation",
    "Samples",
    "UnitNorm",
    "UnitSoftmax",
    "choose",
    "evaluate_with",
    "record",
]
