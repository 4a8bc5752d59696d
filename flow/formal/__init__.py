# SPDX-License-Identifier: Apache-2.0
"""Proofs: properties of units and cells that hold for all inputs and for all time."""
