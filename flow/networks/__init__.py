# SPDX-License-Identifier: Apache-2.0
"""Whole networks with the units in the place of softmax and LayerNorm."""
