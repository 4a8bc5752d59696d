# SPDX-License-Identifier: Apache-2.0
"""Whole tensors through the RTL without Python at the pins."""
