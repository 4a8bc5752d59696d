"""Bit-exact models of the units, and what they are compared with.

One module a unit (`e2softmax`, `ailayernorm`, `rexp`, `lut2d`), each a frozen dataclass of the
RTL's parameters that is called with a batch of rows, and `lut_softmax` for what the last two share;
`reference` has the same functions in float64, `metrics` the distance between the two, `vectors` the
file format of tensors and conformance vectors, `checks` the argument checks that all units
share, `arith` their rounding and array tricks; `quantise` and `ptf` bring real tensors into the
units' integers. Nothing here needs more than numpy.
"""
