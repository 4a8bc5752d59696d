# SPDX-License-Identifier: Apache-2.0
"""Where an ONNX graph computes a softmax or a norm, and what each of these places computes.

A *site* is a node, or the few nodes that an exporter wrote a norm out as. Of what a site gets it
makes rows (`Part`), and of what a unit makes of the rows it makes the site's outputs: so an
attention node is taken apart, its products stay as they are, and its softmax is a unit's. Whatever
looks like a softmax, norm or attention and is no site is told of, with the reason (`Left`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, numpy_helper

from ..calibration.fit import RealNorm
from .attention import (
    attention,
    contrib_attention,
    multi_head_attention,
    quantised_attention,
)
from .grouped import group_query_attention
from .parts import Given, Part, Refused, Split, as_float, at, attributes

SOFTMAX, NORM = "softmax", "norm"
MICROSOFT = "com.microsoft"
Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Site:
    """A place of the graph.

    name: of the node. kind: SOFTMAX or NORM. op: what stands there, in words. nodes: in order.
    inputs, outputs: names of values; "" is an input that is left out. split: what it computes of
    its inputs; raises Refused. scale: of a softmax right behind a DequantizeLinear, the names of
    its scale and zero point.
    """

    name: str
    kind: str
    op: str
    nodes: tuple[NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    split: Split
    scale: tuple[str, str] | None = None


@dataclass(frozen=True)
class Left:
    """A softmax, norm or attention that stays in floating point: its name, what it is, and why."""

    name: str
    op: str
    why: str


# --- a graph --------------------------------------------------------------------------------------


def label(node: NodeProto) -> str:
    """A node's name, or that of its first output."""
    return node.name or next(filter(None, node.output), node.op_type)


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs inside a node, such as an If's branches."""
    for one in node.attribute:
        if one.type == AttributeProto.GRAPH:
            yield one.g
        yield from one.graphs if one.type == AttributeProto.GRAPHS else ()


def used(node: NodeProto) -> list[str]:
    """Names of all values that a node reads, those that its bodies take from outside, too."""
    names = [name for name in node.input if name]
    for body in bodies(node):
        own = {one.name for one in (*body.input, *body.initializer)}
        for inner in body.node:
            names += [name for name in used(inner) if name not in own]
            own.update(inner.output)
        names += [one.name for one in body.output if one.name not in own]
    return names


@dataclass(frozen=True, eq=False)
class Graph:
    """A model's graph, with what is asked of it again and again.

    maker: value -> the node that makes it. readers: value -> nodes that read it. constant: names of
    values that depend on no input. outputs: of the graph.
    """

    model: ModelProto
    maker: Mapping[str, NodeProto] = field(default_factory=dict)
    readers: Mapping[str, Sequence[NodeProto]] = field(default_factory=dict)
    constant: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    initializers: Mapping[str, onnx.TensorProto] = field(default_factory=dict)

    @classmethod
    def of(cls, model: ModelProto, graph: GraphProto | None = None) -> Graph:
        """The graph of a model without functions of its own, or one inside a node."""
        graph = graph or model.graph
        maker = {name: node for node in graph.node for name in node.output if name}
        readers: dict[str, list[NodeProto]] = {}
        initializers = {one.name: one for one in graph.initializer}
        sparse = {one.values.name for one in graph.sparse_initializer}
        constant = set(initializers) | sparse
        for node in graph.node:
            names = used(node)
            for name in dict.fromkeys(names):
                readers.setdefault(name, []).append(node)
            if all(name in constant for name in names) and not node.op_type.startswith("Random"):
                constant.update(node.output)
        outputs = frozenset(one.name for one in graph.output)
        return cls(model, maker, readers, frozenset(constant), outputs, initializers)

    def opset(self, domain: str = "") -> int:
        """The version of a domain's operators, 0 if the model has none."""
        names = {"", "ai.onnx"} if domain == "" else {domain}
        return max((o.version for o in self.model.opset_import if o.domain in names), default=0)

    def value(self, name: str) -> Array | None:
        """A constant that needs no computing, None for all else."""
        while name in self.maker and self.maker[name].op_type == "Identity":
            name = self.maker[name].input[0]
        if name in self.initializers:
            return numpy_helper.to_array(self.initializers[name])
        node = self.maker.get(name)
        if node is None or node.op_type != "Constant":
            return None
        given = attributes(node)
        if "value" in given:
            return numpy_helper.to_array(given["value"])
        return np.array(next(iter(given.values()))) if given else None

    def is_read(self, name: str) -> bool:
        """Whether anything takes a value."""
        return bool(name) and (name in self.readers or name in self.outputs)

    def source(self, name: str, through: Sequence[str] = ("Identity", "Cast")) -> NodeProto | None:
        """The node that makes a value, behind those that only pass it on."""
        node = self.maker.get(name)
        while node is not None and node.op_type in through:
            node = self.maker.get(node.input[0])
        return node


# --- softmaxes ------------------------------------------------------------------------------------


def _softmax(graph: Graph, node: NodeProto) -> Split:
    axis = attributes(node).get("axis", -1 if graph.opset() >= 13 else 1)
    flat = graph.opset() < 13  # the axes from this one on are one row
    multiplied = _feeds_product(graph, node.output[0])

    def split(given: Given) -> Part:
        x = given[0]
        if not x.ndim:
            raise Refused("its input is a single number")
        place = axis % x.ndim
        if flat and place < x.ndim - 1:
            rows = x.reshape(*x.shape[:place], -1)
            return Part(as_float(rows), lambda y: [y.reshape(x.shape).astype(x.dtype)])
        rows = np.moveaxis(x, place, -1)
        heads = rows.shape[-3] if rows.ndim >= 4 and multiplied else 1
        return Part(
            as_float(rows),
            lambda y: [np.ascontiguousarray(np.moveaxis(y, -1, place)).astype(x.dtype)],
            heads=heads,
        )

    return split


_PASSES = ("Identity", "Cast", "Dropout", "QuantizeLinear", "DequantizeLinear", "Where", "Mul")


def _feeds_product(graph: Graph, name: str) -> bool:
    """Whether probabilities go on into a matrix product: then they are attention's."""
    todo, seen = [name], set()
    while todo:
        for node in graph.readers.get(todo.pop(), ()):
            if "MatMul" in node.op_type or node.op_type == "Einsum":
                return True
            if node.op_type in _PASSES and id(node) not in seen:
                seen.add(id(node))
                todo += node.output
    return False


_SHAPES = ("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze")


def _dequantised(graph: Graph, name: str) -> tuple[str, str] | None:
    """Names of scale and zero point if a value comes right from a DequantizeLinear."""
    node = graph.source(name, _SHAPES)
    if node is None or node.op_type != "DequantizeLinear" or node.input[1] not in graph.constant:
        return None
    return node.input[1], node.input[2] if len(node.input) > 2 else ""


# --- norms ----------------------------------------------------------------------------------------


def _norm_part(
    x: Array,
    axis: int,
    gamma: Array | None,
    beta: Array | None,
    epsilon: float,
    rms: bool,
    more: Callable[[Array], list[Array]] = lambda y: [y],
) -> Part:
    """A norm over the axes from `axis` on, as rows; more: outputs of what it gives."""
    place = axis % x.ndim
    width = int(np.prod(x.shape[place:]))
    rows = x.reshape(*x.shape[:place], width)
    real = RealNorm(_parameter(gamma, width, 1.0), _parameter(beta, width, 0.0), epsilon, rms)
    return Part(as_float(rows), lambda y: more(y.reshape(x.shape).astype(x.dtype)), real)


def _parameter(values: Array | None, width: int, otherwise: float) -> Array:
    if values is None:
        return np.full(width, otherwise)
    values = np.asarray(values, np.float64).ravel()
    if values.size not in (1, width):
        raise Refused(f"it has {values.size} weights for rows of {width}")
    return np.array(np.broadcast_to(values, width))


def _layer_norm(graph: Graph, node: NodeProto) -> Split:
    has = attributes(node)
    axis, epsilon = has.get("axis", -1), has.get("epsilon", 1e-5)
    rms = node.op_type != "LayerNormalization"

    def split(given: Given) -> Part:
        return _norm_part(given[0], axis, at(given, 1), at(given, 2), epsilon, rms)

    return split


def _skip_norm(graph: Graph, node: NodeProto) -> Split:
    epsilon = attributes(node).get("epsilon", 1e-12 if node.op_type[4] == "L" else 1e-5)
    rms = node.op_type == "SkipSimplifiedLayerNormalization"
    outputs = len(node.output)

    def split(given: Given) -> Part:
        beta, bias = (None, at(given, 3)) if rms else (at(given, 3), at(given, 4))
        total = given[0] + given[1]
        if bias is not None:
            total = total + bias
        more = [total] if outputs > 3 and node.output[3] else []
        return _norm_part(*(total, -1, given[2], beta, epsilon, rms), lambda y: [y, *more])

    return split


def _embed_norm(graph: Graph, node: NodeProto) -> Split:
    epsilon = attributes(node).get("epsilon", 1e-12)

    def split(given: Given) -> Part:
        ids, segments, words, places, kinds = given[:5]
        where, mask = at(given, 8), at(given, 7)
        total = words[ids] + places[np.arange(ids.shape[1]) if where is None else where]
        if segments is not None:
            total = total + kinds[segments]
        ones = np.zeros(len(ids)) if mask is None else (mask == 1).sum(axis=1)
        others = {1: ones.astype(np.int32), 2: total}
        more = [x for place, x in others.items() if place < len(node.output) and node.output[place]]
        return _norm_part(*(total, -1, given[5], given[6], epsilon, False), lambda y: [y, *more])

    return split


# --- norms that are written out -------------------------------------------------------------------


@dataclass(frozen=True)
class _Written:
    """What a written norm consists of. shift: what is subtracted from x, None in an RMSNorm."""

    nodes: list[NodeProto]
    x: str
    axes: tuple[int, ...]
    epsilon: float
    rms: bool
    gamma: str
    beta: str
    output: str


def _constant_number(graph: Graph, name: str) -> float | None:
    value = graph.value(name)
    return float(value.ravel()[0]) if value is not None and value.size == 1 else None


def _pair(graph: Graph, node: NodeProto) -> Iterator[tuple[str, str]]:
    yield node.input[0], node.input[1]
    yield node.input[1], node.input[0]


def _mean_axes(graph: Graph, node: NodeProto) -> tuple[int, ...] | None:
    has = attributes(node)
    axes = has.get("axes")
    if axes is None and len(node.input) > 1:
        value = graph.value(node.input[1])
        axes = None if value is None else value.ravel().tolist()
    return tuple(axes) if axes is not None and has.get("keepdims", 1) else None


class _Matcher:
    """Finds what stands around a root; nodes: those that are part of it, by id."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.nodes: dict[int, NodeProto] = {}

    def take(self, name: str, *types: str) -> NodeProto | None:
        """The node of such a type that makes a value; casts and identities between are taken."""
        node = self.graph.maker.get(name)
        passed = []
        while (
            node is not None and node.op_type in ("Cast", "Identity") and node.op_type not in types
        ):
            passed.append(node)
            node = self.graph.maker.get(node.input[0])
        if node is None or node.op_type not in types:
            return None
        self.nodes.update({id(one): one for one in (*passed, node)})
        return node

    def root(self, name: str) -> tuple[str, float] | None:
        """The mean of squares under a root, by its name, and epsilon."""
        node = self.graph.maker.get(name)
        if node is not None and node.op_type == "Add":
            for one, other in _pair(self.graph, node):
                epsilon = _constant_number(self.graph, other)
                if epsilon is not None:
                    self.nodes[id(node)] = node
                    return one, epsilon
        return name, 0.0

    def squares(self, name: str) -> tuple[str, tuple[int, ...]] | None:
        """What the mean of squares is of, and its axes."""
        mean = self.take(name, "ReduceMean")
        if mean is None:
            return None
        axes = _mean_axes(self.graph, mean)
        square = self.take(mean.input[0], "Pow", "Mul")
        if axes is None or square is None:
            return None
        if square.op_type == "Pow":
            right = _constant_number(self.graph, square.input[1]) == 2
        else:
            right = square.input[0] == square.input[1]
        return (square.input[0], axes) if right else None

    def same(self, one: str, other: str) -> bool:
        """Whether values are the same but for casts, and identities."""
        return self._origin(one) == self._origin(other)

    def _origin(self, name: str) -> str:
        node = self.graph.maker.get(name)
        while node is not None and node.op_type in ("Cast", "Identity"):
            name = node.input[0]
            node = self.graph.maker.get(name)
        return name

    def centred(self, name: str, axes: tuple[int, ...]) -> str | None:
        """x, if a value is x less its mean over these axes."""
        sub = self.take(name, "Sub")
        if sub is None:
            return None
        mean = self.take(sub.input[1], "ReduceMean")
        if mean is None or _mean_axes(self.graph, mean) != axes:
            return None
        return sub.input[0] if self.same(mean.input[0], sub.input[0]) else None


def _written_norm(graph: Graph, root: NodeProto) -> _Written | None:
    """The norm around a root, if it is one: x - mean, or x, over the root of its mean square."""
    match = _Matcher(graph)
    match.nodes[id(root)] = root
    under = match.root(root.input[0])
    found = under and match.squares(under[0])
    if not found:
        return None
    inner, axes = found
    x = match.centred(inner, axes)
    rms = x is None
    if rms:
        x = inner
    inverse = root.op_type == "Pow" and _constant_number(graph, root.input[1]) == -0.5
    value = root.output[0]
    quotient = None
    for _ in range(3):
        readers = graph.readers.get(value, ())
        if len(readers) != 1 or value in graph.outputs:
            return None
        [node] = readers
        if node.op_type in ("Cast", "Identity"):
            pass
        elif node.op_type == "Reciprocal" and not inverse:
            inverse = True
        elif node.op_type == "Div" and not inverse and node.input[1] == value:
            if _constant_number(graph, node.input[0]) == 1:
                inverse = True
            else:
                quotient = node.input[0], node
        elif node.op_type == "Mul" and inverse:
            quotient = next(one for one, other in _pair(graph, node) if other == value), node
        else:
            return None
        match.nodes[id(node)] = node
        value = node.output[0]
        if quotient:
            break
    if not quotient:
        return None
    top = quotient[0]
    if rms:
        if not match.same(top, x):
            return None
    elif not match.same(top, inner):
        again = match.centred(top, axes)
        if again is None or not match.same(again, x):
            return None
    gamma, value = _next(graph, match, value, "Mul")
    beta, value = _next(graph, match, value, "Add")
    # What it begins with is not part of it.
    order = {id(node): at for at, node in enumerate(graph.model.graph.node)}
    nodes = sorted(match.nodes.values(), key=lambda node: order[id(node)])
    made = {name for node in nodes for name in node.output}
    inside = x
    while inside in made:  # casts in front, which several of its nodes read
        inside = graph.maker[inside].input[0]
    return _Written(nodes, inside, axes, under[1], rms, gamma, beta, value)


def _next(graph: Graph, match: _Matcher, value: str, op: str) -> tuple[str, str]:
    """Take a product or sum with a constant behind a value: the constant, and what it gives."""
    passed, last = [], value
    while True:
        readers = graph.readers.get(last, ())
        if len(readers) != 1 or last in graph.outputs:
            return "", value
        [node] = readers
        if node.op_type not in ("Cast", "Identity"):
            break
        passed.append(node)
        last = node.output[0]
    if node.op_type != op:
        return "", value
    for one, other in _pair(graph, node):
        if one == last and other in graph.constant:
            match.nodes.update({id(each): each for each in (*passed, node)})
            return other, node.output[0]
    return "", value


def _written_split(written: _Written) -> Split:
    def split(given: Given) -> Part:
        x = given[0]
        axes = sorted(axis % x.ndim for axis in written.axes)
        if axes != list(range(axes[0], axes[0] + len(axes))):
            raise Refused("its mean is over axes that are not side by side")
        last = list(range(x.ndim - len(axes), x.ndim))
        moved = np.moveaxis(x, axes, last)
        shape = moved.shape[: x.ndim - len(axes)]
        gamma, beta = (
            None if values is None else _spread(values, x, axes)
            for values in (at(given, 1), at(given, 2))
        )
        width = int(np.prod([x.shape[axis] for axis in axes]))

        def more(y: Array) -> list[Array]:
            return [np.ascontiguousarray(np.moveaxis(y.reshape(moved.shape), last, axes))]

        rows = np.ascontiguousarray(moved).reshape(*shape, width)
        return _norm_part(rows, -1, gamma, beta, written.epsilon, written.rms, more)

    return split


def _spread(values: Array, x: Array, axes: Sequence[int]) -> Array:
    """Weights that broadcast to x as those of a row."""
    if values.ndim > x.ndim:
        raise Refused("its weights have more axes than what it normalises")
    full = values.reshape((1,) * (x.ndim - values.ndim) + values.shape)
    if any(size != 1 for axis, size in enumerate(full.shape) if axis not in axes):
        raise Refused("its weights are not the same for all rows")
    return np.broadcast_to(
        full.reshape([full.shape[axis] for axis in axes]), [x.shape[axis] for axis in axes]
    )


# --- all of a graph -------------------------------------------------------------------------------

# (domain, operator) -> the site's kind, and what makes its split.
_KNOWN: Mapping[tuple[str, str], tuple[str, Callable]] = {
    ("", "Softmax"): (SOFTMAX, _softmax),
    ("", "Attention"): (SOFTMAX, attention),
    (MICROSOFT, "Attention"): (SOFTMAX, contrib_attention),
    (MICROSOFT, "QAttention"): (SOFTMAX, quantised_attention),
    (MICROSOFT, "MultiHeadAttention"): (SOFTMAX, multi_head_attention),
    (MICROSOFT, "GroupQueryAttention"): (SOFTMAX, group_query_attention),
    ("", "LayerNormalization"): (NORM, _layer_norm),
    ("", "RMSNormalization"): (NORM, _layer_norm),
    ("", "SimplifiedLayerNormalization"): (NORM, _layer_norm),
    (MICROSOFT, "SkipLayerNormalization"): (NORM, _skip_norm),
    (MICROSOFT, "EmbedLayerNormalization"): (NORM, _embed_norm),
    (MICROSOFT, "SkipSimplifiedLayerNormalization"): (NORM, _skip_norm),
}
# Outputs that a site makes, by place; another one that is read leaves the node in float.
_MADE = {
    "SkipLayerNormalization": (0, 3),
    "SkipSimplifiedLayerNormalization": (0, 3),
    "EmbedLayerNormalization": (0, 1, 2),
    "Attention": (0, 1, 2),
    "QAttention": (0, 1),
    "MultiHeadAttention": (0, 1, 2),
    "GroupQueryAttention": (0, 1, 2),
}
_WORDS = ("softmax", "norm", "attention")
# No unit is for these, as in PyTorch: statistics over other things than a row of channels.
_NOT_COUNTED = (
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "GroupNorm"),
    *("SkipGroupNorm", "RandomNormal", "RandomNormalLike", "StringNormalizer", "Normalizer"),
)
_WHY = {
    "LogSoftmax": "no unit computes the logarithm",
    "QLinearSoftmax": "it is an integer softmax of the runtime's own: export with QDQ nodes",
}


def find(model: ModelProto) -> tuple[list[Site], list[Left]]:
    """Return the sites of a model's graph, in order, and what stays in float.

    The model has no functions of its own (`onnx.inliner`). The split of a site may yet refuse.
    """
    graph = Graph.of(model)
    sites, left, taken = [], [], set()
    for node in model.graph.node:
        if node.op_type in ("Sqrt", "Pow") and _is_root(graph, node):
            written = _written_norm(graph, node)
            if written is None or taken & {id(one) for one in written.nodes}:
                left.append(_unknown_root(node))
                continue
            taken |= {id(one) for one in written.nodes}
            # What others read as well stays in the graph.
            sites.append(_written_site(written))
    for node in model.graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        known = _KNOWN.get((domain, node.op_type))
        if known is not None:
            site = _site(graph, node, *known)
            (left if isinstance(site, Left) else sites).append(site)
        else:
            left += _looks_like(graph, node)
        for body in bodies(node):
            left += _inside(model, body, f"in the body of {node.op_type} {label(node)}")
    order = {id(node): at for at, node in enumerate(model.graph.node)}
    sites.sort(key=lambda site: order[id(site.nodes[-1])])
    return _named(sites), left


def _named(sites: Sequence[Site]) -> list[Site]:
    """With names that differ."""
    counts = Counter(site.name for site in sites)
    return [
        site if counts[site.name] == 1 else replace(site, name=f"{site.name}, {site.outputs[0]}")
        for site in sites
    ]


def _words(node: NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _site(graph: Graph, node: NodeProto, kind: str, make: Callable) -> Site | Left:
    made = _MADE.get(node.op_type, (0,))
    for place, name in enumerate(node.output):
        if place not in made and graph.is_read(name):
            return Left(label(node), _words(node), f"its output {name} is read, too")
    try:
        split = make(graph, node)
    except Refused as error:
        return Left(label(node), _words(node), str(error))
    outputs = tuple(name for place, name in enumerate(node.output) if place in made and name)
    scale = _dequantised(graph, node.input[0]) if node.op_type == "Softmax" else None
    given = (label(node), kind, _words(node), (node,), tuple(node.input), outputs)
    return Site(*given, split, scale)


_NEAR = 7  # nodes between a reduction and the root that is taken of it
_BETWEEN = (
    *("Add", "Sub", "Mul", "Div", "Max", "Clip", "Relu", "Cast", "Identity", "Pow", "Squeeze"),
    *("Unsqueeze", "Reshape", "Expand"),
)


def _is_root(graph: Graph, node: NodeProto) -> bool:
    """Whether it is a root of a mean, or of a sum of squares, of what depends on inputs."""
    if node.op_type == "Pow" and _constant_number(graph, node.input[1]) not in (0.5, -0.5):
        return False
    if node.input[0] in graph.constant:
        return False
    names = [node.input[0]]
    for _ in range(_NEAR):
        makers = [graph.maker[name] for name in names if name in graph.maker]
        if any(maker.op_type in ("ReduceMean", "ReduceSum", "ReduceSumSquare") for maker in makers):
            return True
        names = [name for maker in makers if maker.op_type in _BETWEEN for name in maker.input]
    return False


def _unknown_root(node: NodeProto) -> Left:
    why = "the root of a mean or sum that is not recognised as a LayerNorm or RMSNorm"
    return Left(label(node), node.op_type, why)


def _written_site(written: _Written) -> Site:
    op = "RMSNorm written out" if written.rms else "LayerNorm written out"
    inputs = (written.x, written.gamma, written.beta)
    name = label(written.nodes[-1])
    given = (name, NORM, op, tuple(written.nodes), inputs, (written.output,))
    return Site(*given, _written_split(written))


def _looks_like(graph: Graph, node: NodeProto) -> Iterator[Left]:
    """A node that is named like what is replaced, or a softmax that is written out."""
    name = node.op_type
    if name in _NOT_COUNTED:
        return
    if any(word in name.lower() for word in _WORDS):
        yield Left(label(node), _words(node), _WHY.get(name, "the command does not know it"))
    elif name == "ReduceL2" and node.input[0] not in graph.constant:
        yield Left(label(node), name, "a norm of vectors, by which no unit divides")
    elif name in ("ReduceSum", "ReduceLogSumExp") and node.input[0] not in graph.constant:
        made = graph.source(node.input[0])
        if name == "ReduceLogSumExp" or (made is not None and made.op_type == "Exp"):
            yield Left(label(node), name, "a softmax that is written out: export it as Softmax")


def _inside(model: ModelProto, body: GraphProto, where: str) -> Iterator[Left]:
    """What a node's own graph computes: nothing there is replaced."""
    graph = Graph.of(model, body)
    for node in body.node:
        known = ("" if node.domain == "ai.onnx" else node.domain, node.op_type) in _KNOWN
        root = node.op_type in ("Sqrt", "Pow") and _is_root(graph, node)
        if known or root or any(_looks_like(graph, node)):
            yield Left(label(node), _words(node), where)
        for inner in bodies(node):
            yield from _inside(model, inner, where)
