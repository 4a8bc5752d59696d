# SPDX-License-Identifier: Apache-2.0
"""int8 softmaxes of onnxruntime and LiteRT on given rows, by the runtimes themselves.

Logits are quantised as their quantisers do: one scale and zero point for all rows, the range with
0 in it. onnxruntime's QLinearSoftmax looks exponentials up in a table and multiplies by
floor(1 / y_scale), so that an output scale of 1/255 gives 254 steps; its quantiser chooses 1/256,
and LiteRT has nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from onnx import TensorProto, helper

from .. import tools

ORT, ORT_255, LITERT = "onnxruntime", "onnxruntime, 1/255", "LiteRT"
# What a runtime needs: modules, and their packages with the extra that has them.
NEEDS = {
    ORT: (("onnxruntime",), "onnxruntime (the extra onnx)"),
    LITERT: (("ai_edge_litert", "flatbuffers"), "ai-edge-litert, flatbuffers (the extra litert)"),
}
Run = Callable[[np.ndarray], np.ndarray]  # codes uint8 [rows, length] -> probabilities


def softmaxes(logits: np.ndarray, live: np.ndarray) -> dict[str, np.ndarray]:
    """Return probabilities [rows, keys] of each runtime that is installed, by its name.

    logits: real [rows, keys]; live: bool, what counts. Masked elements are left out of the rows:
    they have no logit that a quantiser's range would hold.
    """
    seen = logits[live]
    low, high = min(seen.min(initial=0), 0.0), max(seen.max(initial=0), 0.0)
    scale = np.float32((high - low) / 255 or 1.0)
    zero = int(np.clip(np.round(-low / scale), 0, 255))
    codes = np.clip(np.round(logits / scale) + zero, 0, 255).astype(np.uint8)
    runs: dict[str, Run] = {}
    if is_here(ORT):
        runs[ORT] = _onnxruntime(scale, zero, 1 / 256)
        runs[ORT_255] = _onnxruntime(scale, zero, 1 / 255)
    if is_here(LITERT):
        runs[LITERT] = _litert(scale, zero)
    found = {name: np.zeros(logits.shape) for name in runs}
    for rows, width, packed in _by_length(codes, live):
        for name, run in runs.items():
            given = run(packed)
            place = np.flatnonzero(rows)[:, None], np.argsort(~live[rows], 1, "stable")[:, :width]
            found[name][place] = given
    return found


def is_here(name: str) -> bool:
    """Whether a runtime can be asked: ORT or LITERT."""
    return all(tools.is_installed(module) for module in NEEDS[name][0])


def missing() -> list[str]:
    """Say of each runtime that cannot be asked what to install."""
    return [
        f"{name}'s int8 softmax is left out: it needs {packages}, which is not installed"
        for name, (_, packages) in NEEDS.items()
        if not is_here(name)
    ]


def _by_length(codes: np.ndarray, live: np.ndarray) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Rows of one number of elements each time: which, how many elements, their codes."""
    counts = live.sum(axis=1)
    for count in np.unique(counts[counts > 0]):
        rows = counts == count
        yield rows, int(count), codes[rows][live[rows]].reshape(-1, int(count))


def _onnxruntime(scale: np.float32, zero: int, out: float) -> Run:
    from .network import session

    kinds = {"x_scale": TensorProto.FLOAT, "y_scale": TensorProto.FLOAT}
    values = {"x_scale": scale, "x_zero": zero, "y_scale": out, "y_zero": 0}
    names = ["x", *values]
    graph = helper.make_graph(
        [
            helper.make_node(
                *("QLinearSoftmax", names, ["y"]), domain="com.microsoft", axis=-1, opset=13
            )
        ],
        "softmax",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [None, None])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [None, None])],
        [
            helper.make_tensor(name, kinds.get(name, TensorProto.UINT8), [], [value])
            for name, value in values.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    run = session(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    return lambda codes: run.run(None, {"x": codes})[0] * float(np.float32(out))


def _litert(scale: np.float32, zero: int) -> Run:
    def run(codes: np.ndarray) -> np.ndarray:
        signed = (codes.astype(np.int16) - 128).astype(np.int8)
        interpreter = _interpreter(signed.shape, float(scale), zero - 128)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], signed)
        interpreter.invoke()
        y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        return (y.astype(np.float64) + 128) / 256

    return run


def _interpreter(shape: tuple[int, ...], scale: float, zero: int):
    """LiteRT's interpreter of a model of one int8 SOFTMAX; its output is 1/256, from -128."""
    import ai_edge_litert.schema_py_generated as schema
    import flatbuffers
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def tensor(name: str, its_scale: float, its_zero: int):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), schema.TensorType.INT8, 0
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [its_scale], [its_zero]
        return made

    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX
    code.version = 2
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    operator.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    operator.builtinOptions = schema.SoftmaxOptionsT()
    operator.builtinOptions.beta = 1.0
    graph = schema.SubGraphT()
    graph.tensors = [tensor("x", scale, zero), tensor("y", 1 / 256, -128)]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    own = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # its kernels, not XNNPACK's
    content = bytes(builder.Output())
    interpreter = Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=own
    )
    interpreter.allocate_tensors()
    return interpreter
