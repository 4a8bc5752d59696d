# SPDX-License-Identifier: Apache-2.0
"""Liberty: the part of the format that areas, timing boundaries and energies need.

A cell library is text in nested groups, `name (arguments) { attributes and groups }`. Only what the
flow uses is given names here; timing itself is OpenSTA's.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..errors import UserError
from ..paths import BUILD, write_whole

# Where Debian's package puts it; its name is what a user installs.
DEFAULT_PACKAGE = "qflow-tech-osu018"
DEFAULT = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")

_TOKEN = re.compile(
    r"""
      (?P<skip>\s+|\\\n|/\*.*?\*/|//[^\n]*)
    | "(?P<string>[^"]*)"
    | (?P<mark>[{}():;,])
    | (?P<word>[^\s"{}():;,\\]+)
    """,
    re.X | re.S,
)
_NUMBERS = re.compile(r"[-+.\deE]+")


class LibertyError(UserError):
    """The file is no liberty file, or lacks what the flow needs of one."""


@dataclass
class Group:
    """`kind (arguments) { ... }`: attributes by name, their last values; groups in order."""

    kind: str
    arguments: tuple[str, ...]
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The first argument."""
        return self.arguments[0] if self.arguments else ""

    def all(self, kind: str) -> Iterator[Group]:
        """The groups of a kind."""
        return (group for group in self.groups if group.kind == kind)

    def first(self, kind: str) -> Group | None:
        """The first group of a kind."""
        return next(self.all(kind), None)

    def text(self, name: str, default: str = "") -> str:
        """A simple attribute."""
        return self.values[name][0] if name in self.values else default

    def number(self, name: str, default: float = 0.0) -> float:
        """A simple attribute that is a number. Raises LibertyError."""
        try:
            return float(self.values[name][0]) if name in self.values else default
        except ValueError:
            raise LibertyError(
                f"{name} of {self.kind} {self.name} is {self.values[name][0]!r}, no number"
            ) from None


def parse(text: str) -> Group:
    """The library group of a liberty file's text. Raises LibertyError."""
    root = Group("", ())
    stack, statement, at = [root], [], 0
    arguments: list[str] | None = None  # inside ( ), the words so far
    size = len(text)
    while at < size:
        found = _TOKEN.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            raise LibertyError(f"no liberty: cannot read line {line}")
        at = found.end()
        kind = found.lastgroup
        if kind == "skip":
            if arguments is None and statement and "\n" in found[0] and ":" in statement[1:2]:
                _assign(stack[-1], statement)  # `name : value` without a semicolon
                statement = []
            continue
        token = found[kind]
        if kind != "mark":
            (statement if arguments is None else arguments).append(token)
        elif token == "(" and arguments is None and ":" not in statement:
            arguments = []
        elif token == ")" and arguments is not None:
            statement, arguments = [*statement[:1], tuple(arguments)], None
        elif token == "{":
            if len(statement) != 2 or not isinstance(statement[1], tuple):
                raise LibertyError(f"no liberty: line {text.count(chr(10), 0, at) + 1}")
            group = Group(statement[0], statement[1])
            stack[-1].groups.append(group)
            stack.append(group)
            statement = []
        elif token == "}" and len(stack) > 1:
            _assign(stack.pop(), statement)
            statement = []
        elif token == ";":
            _assign(stack[-1], statement)
            statement = []
        elif token == ":" and arguments is None:
            statement.append(":")
        elif token == "," and arguments is not None:
            pass
        elif token in "()" and ":" in statement:
            statement.append(token)  # of an expression without quotes
        elif token == "}":
            raise LibertyError(f"no liberty: a brace too many in line {text.count(chr(10), 0, at)}")
        elif statement and isinstance(statement[-1], tuple):
            pass
        else:
            (statement if arguments is None else arguments).append(token)
        # `index_1 ("..")` may go without a semicolon: what follows starts a statement of its own.
        if (
            arguments is None
            and len(statement) == 3
            and isinstance(statement[1], tuple)
            and token not in "{;"
        ):
            _assign(stack[-1], statement[:2])
            statement = statement[2:]
    library = root.first("library")
    if library is None or len(stack) != 1:
        raise LibertyError("no liberty: it does not hold a whole library")
    return library


def _assign(group: Group, statement: list) -> None:
    if len(statement) >= 3 and statement[1] == ":":
        group.values[statement[0]] = (" ".join(map(str, statement[2:])),)
    elif len(statement) == 2 and isinstance(statement[1], tuple):
        group.values[statement[0]] = statement[1]


# --- Boolean functions ----------------------------------------------------------------------------

_OPERATORS = re.compile(r"\s*(?:([A-Za-z_][\w\[\]]*)|([01])|(.))")


def function(text: str) -> tuple:
    """A `function` string as a tree: ("var", name), ("const", 0 or 1), ("not", a), ("and", a, b),
    ("or", a, b), ("xor", a, b). Raises LibertyError.

    Not (`!a`, `a'`) binds tightest, then `^`, then `*`, `&` and mere juxtaposition, then `+`, `|`.
    """
    tokens = [match.groups() for match in _OPERATORS.finditer(text.strip())]
    at = 0

    def fail() -> LibertyError:
        return LibertyError(f"cannot read the function {text!r}")

    def mark() -> str | None:
        return tokens[at][2] if at < len(tokens) else None

    def atom() -> tuple:
        nonlocal at
        if at == len(tokens):
            raise fail()
        name, constant, symbol = tokens[at]
        at += 1
        if symbol == "!":
            return ("not", atom())
        if name:
            tree: tuple = ("var", name)
        elif constant:
            tree = ("const", int(constant))
        elif symbol == "(":
            tree = either()
            if mark() != ")":
                raise fail()
            at += 1
        else:
            raise fail()
        while mark() == "'":
            at += 1
            tree = ("not", tree)
        return tree

    def exclusive() -> tuple:
        nonlocal at
        tree = atom()
        while mark() == "^":
            at += 1
            tree = ("xor", tree, atom())
        return tree

    def both() -> tuple:
        nonlocal at
        tree = exclusive()
        while at < len(tokens) and mark() not in ("+", "|", ")"):
            if mark() in ("*", "&"):
                at += 1
            tree = ("and", tree, exclusive())
        return tree

    def either() -> tuple:
        nonlocal at
        tree = both()
        while mark() in ("+", "|"):
            at += 1
            tree = ("or", tree, both())
        return tree

    tree = either()
    if at != len(tokens):
        raise fail()
    return tree


def variables(tree: tuple) -> set[str]:
    """The names in a function's tree."""
    if tree[0] == "var":
        return {tree[1]}
    return set().union(*(variables(part) for part in tree[1:] if isinstance(part, tuple)))


def evaluate(tree: tuple, values: Mapping[str, int]) -> int:
    """A function's value, 0 or 1."""
    kind, *parts = tree
    if kind == "var":
        return values[parts[0]]
    if kind == "const":
        return parts[0]
    given = [evaluate(part, values) for part in parts]
    if kind == "not":
        return 1 - given[0]
    return {"and": given[0] & given[-1], "or": given[0] | given[-1], "xor": given[0] ^ given[-1]}[
        kind
    ]


# --- the library ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Library:
    """A liberty file, read.

    path  the text as tools take it: a copy below build/, named after what it holds
    name  the library's own
    """

    path: Path
    name: str
    digest: str
    group: Group

    @cached_property
    def cells(self) -> dict[str, Group]:
        """Cells by name."""
        return {cell.name: cell for cell in self.group.all("cell")}

    def area(self, cell: str) -> float:
        """Area of a cell, in square micrometres.

        Of a cell that has none here (osu018's latch) that of the default library's shapes. Raises
        LibertyError.
        """
        area = self.cells[cell].number("area")
        if area:
            return area
        shapes = DEFAULT.with_suffix(".lef")
        text = shapes.read_text(encoding="utf-8") if shapes.exists() else ""
        found = re.search(
            rf"^MACRO {re.escape(cell)}\s.*?SIZE +(\S+) +BY +(\S+)", text, re.M | re.S
        )
        if self.name != DEFAULT.stem or found is None:
            raise LibertyError(f"{self.path} has no area of {cell}")
        return float(found[1]) * float(found[2])

    @cached_property
    def nand2(self) -> str:
        """The smallest NAND of two inputs, the unit of area."""
        return self._smallest("NAND gate of two inputs", self._truth(2, (1, 1, 1, 0)))

    @cached_property
    def driver(self) -> str:
        """Driver of the inputs: an inverter of about four times the smallest strength."""
        inverters = self._truth(1, (1, 0))
        if not inverters:
            raise LibertyError(f"{self.path} has no inverter")
        least = min(self._load(name) for name in inverters)
        return min(inverters, key=lambda name: (abs(self._load(name) / least - 4), name))

    @cached_property
    def load(self) -> float:
        """Load of an output in picofarads: four inputs of the driver."""
        return 4 * self._load(self.driver)

    @cached_property
    def flip_flop(self) -> str:
        """The smallest flip-flop of a rising clock, with neither reset nor enable."""
        found = []
        for name in self.cells.keys() - set(self.unusable):
            ff = self.cells[name].first("ff")
            if ff is None or {"clear", "preset"} & ff.values.keys():
                continue
            trees = [function(ff.text(what)) for what in ("clocked_on", "next_state")]
            if all(tree[0] == "var" for tree in trees):
                found.append(name)
        return self._smallest("plain flip-flop", sorted(found))

    @cached_property
    def clock_gate(self) -> str:
        """Verilog of sn_clock_gate: gclk_o is clk_i where en_i was 1 at its rising edge.

        A latch that is open while clk_i is 0, and an AND: the least that the library has, which
        need not have such a cell in one piece.
        """
        found = []
        for name in self.cells.keys() - set(self.unusable):
            latch, output = self.cells[name].first("latch"), self.output(name)
            if latch is None or output is None or {"clear", "preset"} & latch.values.keys():
                continue
            data, enable = (function(latch.text(what)) for what in ("data_in", "enable"))
            if data[0] == "var" and function(output.text("function")) == (
                "var",
                latch.arguments[0],
            ):
                low = enable[0] == "not"
                pins = data[1], (enable[1] if low else enable)[1], output.name
                found.append((self.area(name), name, pins, low))
        if not found:
            raise LibertyError(f"{self.path} has no plain latch")
        _, latch, (data, enable, q), low = min(found)
        inverter = self._smallest("inverter", self._truth(1, (1, 0)))
        gate = self._smallest("AND gate of two inputs", self._truth(2, (0, 0, 0, 1)))
        opened = "clk_i" if low else "closed"
        lines = [
            "module sn_clock_gate(input clk_i, en_i, output gclk_o);",
            "wire closed, on;",
            *([] if low else [self._instance(inverter, ["clk_i"], "closed")]),
            f"{latch} on_latch(.{data}(en_i), .{enable}({opened}), .{q}(on));",
            self._instance(gate, ["clk_i", "on"], "gclk_o"),
            "endmodule\n",
        ]
        return "\n".join(lines)

    def _instance(self, cell: str, inputs: list[str], output: str) -> str:
        pins = self.pins(cell).values()
        names = [pin.name for pin in pins if pin.text("direction") == "input"]
        [out] = [pin.name for pin in pins if pin.text("direction") == "output"]
        given = zip([*names, out], [*inputs, output], strict=True)
        return f"{cell} {output}_gate({', '.join(f'.{pin}({net})' for pin, net in given)});"

    @cached_property
    def farads(self) -> float:
        """The file's unit of capacitance."""
        amount, unit = self.group.values.get("capacitive_load_unit", ("1", "pf"))
        return float(amount) * {"ff": 1e-15, "pf": 1e-12}[unit.lower()]

    @cached_property
    def seconds(self) -> float:
        """The file's unit of time."""
        amount, unit = re.fullmatch(
            r"([\d.]+)\s*([fpn]s)", self.group.text("time_unit", "1ns")
        ).groups()
        return float(amount) * {"fs": 1e-15, "ps": 1e-12, "ns": 1e-9}[unit]

    @cached_property
    def voltage(self) -> float:
        """Supply voltage in volts."""
        conditions = self.group.first("operating_conditions")
        volts = self.group.number("nom_voltage")
        return volts or (conditions.number("voltage") if conditions else 0.0)

    @cached_property
    def leakage_watts(self) -> float:
        """The file's unit of leakage."""
        amount, unit = re.fullmatch(
            r"([\d.]+)\s*([fpnum]?)W", self.group.text("leakage_power_unit", "1nW")
        ).groups()
        return (
            float(amount) * {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1}[unit]
        )

    @cached_property
    def unusable(self) -> list[str]:
        """Cells that synthesis must not use: those marked so, and those of power management."""
        return sorted(
            name
            for name, cell in self.cells.items()
            if cell.text("dont_use") == "true"
            # sky130 has isolation, always-on and probe cells without a mark.
            or re.search(r"__(lpflow|probe)", name)
        )

    @cached_property
    def clock(self) -> str:
        """The clock pin of `flip_flop`."""
        ff = self.cells[self.flip_flop].first("ff")
        return "" if ff is None else function(ff.text("clocked_on"))[1]

    def pins(self, cell: str) -> dict[str, Group]:
        """A cell's signal pins by name."""
        return {pin.name: pin for pin in self.cells[cell].all("pin")}

    def output(self, cell: str) -> Group | None:
        """The one output pin of a cell that has one."""
        found = [p for p in self.pins(cell).values() if p.text("direction") == "output"]
        return found[0] if len(found) == 1 else None

    def _load(self, cell: str) -> float:
        """Capacitance of a cell's first input, in picofarads."""
        pins = (p for p in self.pins(cell).values() if p.text("direction") == "input")
        return next(pins).number("capacitance") * self.farads / 1e-12

    def _truth(self, inputs: int, table: tuple[int, ...]) -> list[str]:
        """Usable cells of one output with this truth table, the first input the highest bit."""
        found = []
        for name in self.cells.keys() - set(self.unusable):
            output = self.output(name)
            if output is None or "function" not in output.values or "three_state" in output.values:
                continue
            tree = function(output.text("function"))
            names = sorted(variables(tree))
            if len(names) == inputs and table == tuple(
                evaluate(tree, {n: row >> (inputs - 1 - i) & 1 for i, n in enumerate(names)})
                for row in range(1 << inputs)
            ):
                found.append(name)
        return sorted(found)

    def _smallest(self, what: str, names: list[str]) -> str:
        if not names:
            raise LibertyError(f"{self.path} has no {what}")
        return min(names, key=lambda name: (self.area(name), name))


def load(given: str | None = None) -> Library:
    """The library in a liberty file, also a .gz; without a file the default one.

    Raises UserError if there is none, LibertyError if it cannot be used.
    """
    path = Path(given) if given else DEFAULT
    if not given and not path.exists():
        raise UserError(
            "no cell library: run `apt-get install --no-install-recommends "
            f"{DEFAULT_PACKAGE} opensta`, or give a liberty file as LIBERTY=<file>"
        )
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        text = content.decode("utf-8", errors="replace")
    except (OSError, EOFError) as error:
        raise UserError(f"cannot read LIBERTY={path}: {error}") from None
    digest = hashlib.sha256(content).hexdigest()[:16]
    group = parse(text)
    # Yosys' abc keeps a converted copy of a library by path and date: a path of its own for every
    # content, or areas of the library that was at this path before come out.
    own = BUILD / "ppa" / f"{path.name.removesuffix('.gz').removesuffix('.lib')}-{digest}.lib"
    own.parent.mkdir(parents=True, exist_ok=True)
    if not own.exists():
        write_whole(own, content)
    return Library(own.resolve(), group.name, digest, group)
