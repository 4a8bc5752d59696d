# SPDX-License-Identifier: Apache-2.0
"""The units' bit-exact models in ONNX graphs: any network's softmax and norms (docs/onnx.md).

`graph` finds them, `network` runs what is between them, `evaluation` puts units in their place,
`registers` keeps what was calibrated. Importing this needs onnx, which is optional (the extra
`onnx`): UserError without it.
"""

from .. import tools
from ..errors import UserError

if not tools.is_installed("onnx"):
    raise UserError(f"the optional package onnx is not installed; run: {tools.install('onnx')}")
