# SPDX-License-Identifier: Apache-2.0
"""The bulk engine's side of the bench: whole batches of rows as arrays of beats, and its harness.

Plain Python and numpy; what drives the arrays through a unit is C++ and SystemVerilog.
"""
