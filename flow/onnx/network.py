# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph that is run in pieces: between its sites by a runtime, at them by anybody.

A site takes no part in a piece: what is before it, and what is behind it, are models of their own,
which onnxruntime runs, or onnx's reference evaluator where that cannot. Pieces are made of the
graph's own nodes, so all other arithmetic stays what it is; what depends on no input is computed in
each piece that needs it, so that no weights go from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
from onnx import ModelProto, NodeProto, helper, inliner

from .. import tools
from ..errors import UserError
from .sites import Graph, Site, used

Values = dict[str, np.ndarray]
# (site, its inputs) -> its outputs.
Place = Callable[[Site, list[np.ndarray | None]], Sequence[np.ndarray]]


def load(path: Path) -> ModelProto:
    """Return a model from a file, its functions inlined. Raises UserError."""
    try:
        model = onnx.load(path)
    except FileNotFoundError as error:
        raise UserError(f"no such file: {error.filename or path}") from None
    except Exception as error:  # protobuf's own, or of external data
        raise UserError(f"cannot read {path} as an ONNX model: {error}") from None
    if not model.graph.node:
        raise UserError(f"{path} is no ONNX model, or an empty one")
    return inliner.inline_local_functions(model) if model.functions else model


@dataclass(eq=False)
class _Piece:
    """Nodes between sites, with what they take from outside and give; its session once it ran."""

    nodes: list[NodeProto]
    inputs: list[str]
    outputs: list[str]
    constants: list[str]
    session: object = None


@dataclass(eq=False)
class Network:
    """A model with places that are not computed by it. sites: in any order."""

    model: ModelProto
    sites: Sequence[Site]
    by_reference: set[str] = field(default_factory=set)  # pieces that onnxruntime does not run

    def __post_init__(self):
        self.graph = Graph.of(self.model)
        self._initial = self.graph.initializers
        self.inputs = [one for one in self.model.graph.input if one.name not in self._initial]
        self.outputs = [one.name for one in self.model.graph.output]
        self._floats: dict[str, _Piece] = {}  # of sites, by name
        self._made = {name: site for site in self.sites for name in site.outputs}
        level = self._levels()
        steps = max(level.values(), default=0) + 1
        wanted: list[set[str]] = [set() for _ in range(steps)]
        at_level: list[list[Site]] = [[] for _ in range(steps)]
        for site in self.sites:
            at = self._behind(site.inputs, level)
            at_level[at].append(site)
            for name in filter(None, site.inputs):
                wanted[at if name in self.graph.constant else level[name]].add(name)
        for name in self.outputs:
            wanted[level.get(name, 0)].add(name)
        # From the end to the start: a piece gives what sites and later pieces take.
        self._steps: list[tuple[_Piece, list[Site]]] = []
        for at in reversed(range(steps)):
            piece = self._piece(wanted[at], at, level)
            for name in piece.inputs:
                wanted[level[name]].add(name)
            self._steps.insert(0, (piece, at_level[at]))

    def _levels(self) -> dict[str, int]:
        """By value, how many sites are on the longest way to it; constants are not among them."""
        level = {one.name: 0 for one in self.inputs}
        for node in self.model.graph.node:
            names = used(node)
            for site in {
                id(self._made[n]): self._made[n] for n in names if n in self._made
            }.values():
                if site.outputs[0] not in level:
                    at = self._behind(site.inputs, level)
                    level.update(dict.fromkeys(site.outputs, at + 1))
            at = self._behind(names, level)
            others = [n for n in node.output if n and n not in self._made]
            level.update({n: at for n in others if n not in self.graph.constant})
        for site in self.sites:  # those whose outputs no node takes
            at = self._behind(site.inputs, level)
            level.update({n: at + 1 for n in site.outputs if n not in level})
        return level

    @staticmethod
    def _behind(names: Sequence[str], level: Mapping[str, int]) -> int:
        return max((level.get(name, 0) for name in names), default=0)

    def _piece(self, wanted: set[str], at: int, level: Mapping[str, int]) -> _Piece:
        """The nodes of one level that make values, with the constants that they need."""
        ready = {one.name for one in self.inputs} | set(self._made)
        outside = ready | {name for name, its in level.items() if its < at}
        return self._cut(sorted(wanted - ready), outside)

    def _cut(self, outputs: Sequence[str], outside: set[str]) -> _Piece:
        """The nodes that make values of what comes from outside, and of constants."""
        chosen, inputs, constants = set(), {}, {}
        todo = list(outputs)
        while todo:
            name = todo.pop()
            node = self.graph.maker.get(name)
            if name in outside:
                inputs[name] = True
            elif node is not None:
                if id(node) not in chosen:
                    chosen.add(id(node))
                    todo += used(node)
            elif name in self.graph.constant:
                constants[name] = True
            else:
                raise UserError(f"nothing makes the value {name}: the model is broken")
        nodes = [node for node in self.model.graph.node if id(node) in chosen]
        return _Piece(nodes, list(inputs), list(outputs), list(constants))

    # --- running ----------------------------------------------------------------------------------

    def run(self, feed: Values, place: Place) -> Values:
        """Return the graph's outputs by name. feed: inputs by name. place: what is at the sites."""
        values = dict(feed)
        for piece, sites in self._steps:
            values.update(self._run(piece, values))
            for site in sites:
                given = [values[name] if name else None for name in site.inputs]
                values.update(zip(site.outputs, place(site, given), strict=True))
        return {name: values[name] for name in self.outputs}

    def as_it_is(self, site: Site, given: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """Return what the runtime makes of a site's own nodes."""
        known = {k: v for k, v in zip(site.inputs, given, strict=True) if k}
        if site.name not in self._floats:
            given_to_it = {name for name in known if name not in self.graph.constant}
            self._floats[site.name] = self._cut(site.outputs, given_to_it)
        made = self._run(self._floats[site.name], known)
        return [made[name] for name in site.outputs]

    def scale(self, site: Site) -> tuple[float, float] | None:
        """What a code of a softmax's logits is worth, and what logits are less.

        For a softmax behind a DequantizeLinear, so that logits are codes, signed, times the scale;
        None for any other one.
        """
        if site.scale is None:
            return None
        scale, zero = (self.graph.value(name) if name else np.uint8(0) for name in site.scale)
        if scale is None or zero is None or scale.size != 1:
            return None
        step = float(scale.ravel()[0])
        middle = 128 if zero.dtype == np.uint8 else 0
        return step, (middle - int(zero.ravel()[0])) * step

    def _run(self, piece: _Piece, values: Mapping[str, np.ndarray]) -> Values:
        if not piece.outputs:
            return {}
        feed = {name: values[name] for name in piece.inputs}
        if piece.session is None:
            piece.session = self._session(piece, feed)
        try:
            return dict(zip(piece.outputs, piece.session.run(piece.outputs, feed), strict=True))
        except Exception as error:
            first = str(error).strip().splitlines()[0]
            raise UserError(f"the graph does not run on these data: {first}") from error

    def _session(self, piece: _Piece, feed: Mapping[str, np.ndarray]) -> object:
        proto = self._as_model(piece, feed)
        if tools.is_installed("onnxruntime"):
            try:
                return session(proto)
            except Exception as error:  # an operator or type that it does not have
                why = str(error).strip().splitlines()[0]
        else:
            why = f"onnxruntime is not installed; run: {tools.install('onnx')}"
        try:
            evaluator = onnx.reference.ReferenceEvaluator(proto)
        except Exception as error:
            raise UserError(
                f"no runtime takes this graph; onnxruntime: {why}; the reference: {error}"
            ) from None
        self.by_reference.add(why)
        return evaluator

    def _as_model(self, piece: _Piece, feed: Mapping[str, np.ndarray]) -> ModelProto:
        types = {k: (helper.np_dtype_to_tensor_dtype(v.dtype), v.ndim) for k, v in feed.items()}
        inputs = [
            helper.make_tensor_value_info(name, kind, [None] * axes)
            for name, (kind, axes) in types.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in piece.outputs]  # it finds the types
        kept = [self._initial[name] for name in piece.constants if name in self._initial]
        graph = helper.make_graph(piece.nodes, "piece", inputs, outputs, kept)
        graph.sparse_initializer.extend(
            one for one in self.model.graph.sparse_initializer if one.values.name in piece.constants
        )
        return helper.make_model(
            graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version
        )


def session(model: ModelProto) -> object:
    """onnxruntime's session of a model. Raises what onnxruntime raises.

    Of its optimisations the basic ones: those beyond replace what stands between DequantizeLinear
    and QuantizeLinear by integer operators of other results, a softmax's among them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
