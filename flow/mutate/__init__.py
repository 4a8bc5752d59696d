# SPDX-License-Identifier: Apache-2.0
"""Mutation analysis: many small faults in a unit's netlist, and which of them checks see."""
