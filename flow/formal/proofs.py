# SPDX-License-Identifier: Apache-2.0
"""What is proved: a list for each unit, and one for the cells that units share."""

from __future__ import annotations

from collections.abc import Iterator

from softnorm.units import UNITS
from softnorm.units.unit import Unit

from .engine import Proof

COMMON = "common"
_STREAM = ("sn_stream_checker.sv", "sn_stream_bind.sv", "sn_proof_reset.sv")


def proofs() -> list[Proof]:
    """All of them, the quick ones first within a unit."""
    return [*_leaves(), *_streams()]


def of_unit(unit: Unit) -> list[Proof]:
    """A unit's own, and those of the cells that it has."""
    return [
        proof
        for proof in proofs()
        if proof.unit == unit.name or (proof.unit == COMMON and set(proof.rtl) <= set(unit.rtl))
    ]


def _streams() -> Iterator[Proof]:
    for unit in UNITS.values():
        if unit.baseline:
            continue
        yield Proof(
            unit=unit.name,
            name="output stream",
            sentence="m_axis_tvalid stays until m_axis_tready comes, the payload is stable "
            "meanwhile, and there is no tvalid in reset",
            top=unit.name,
            rtl=unit.rtl,
            checkers=_STREAM,
            properties=("a_valid_stays", "a_payload_stable", "a_quiet_in_reset"),
            parameters=_size(unit),
            small={"LANES": 1, "MAX_LEN": 2},
            cut=("*u_output.data_i",),
            depth=3,
        )


def _size(unit: Unit) -> dict[str, int]:
    return {name: unit.defaults[name] for name in ("LANES", "MAX_LEN")}


def _leaves() -> Iterator[Proof]:
    for exp_frac in 0, 1:
        yield Proof(
            unit="e2softmax",
            name="Log2Exp",
            sentence="the code of each distance and each F is that of the equation",
            top="e2softmax_log2exp",
            rtl=("e2softmax/e2softmax_log2exp.sv",),
            checkers=("sn_leaf_e2softmax.sv",),
            parameters={"EXP_FRAC": exp_frac},
        )
    for ranges in 2, 3:
        yield Proof(
            unit="ailayernorm",
            name="DynamicCompress",
            sentence="y and the range of each a from -255 to 255 are those of the equation",
            top="ailayernorm_compress",
            rtl=("ailayernorm/ailayernorm_compress.sv",),
            checkers=("sn_leaf_ailayernorm.sv",),
            parameters={"CMP_RANGES": ranges},
        )
