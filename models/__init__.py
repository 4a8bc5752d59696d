# SPDX-License-Identifier: Apache-2.0
"""Bit-exact models of the units, and their float64 references.

Each unit has a module of its name: a frozen dataclass of the RTL's parameters that is called with
a batch of rows; `stream_cells` has the two cells without row buffers, and `attention` the loop of
attention in tiles around a softmax. `lut_softmax` is shared by the look-up units; `checks` has the
argument checks of all models, `arith` their rounding and array functions. `reference` has the same
functions in float64, `metrics` the error figures, `vectors` the file format of tensors and
conformance vectors; `quantise` and `ptf` convert real tensors to the units' integers. The package
needs only numpy; with array-api-compat the units of whole rows take arrays of any library.
"""
