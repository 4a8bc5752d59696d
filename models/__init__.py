"""Bit-exact models of the units, and what they are compared with.

One module a unit, of its name: a frozen dataclass of the RTL's parameters that is called with a
batch of rows. `lut_softmax` has what the look-up units share, `checks` the argument checks of all,
`arith` their rounding and array tricks; `reference` has the same functions in float64, `metrics`
the distance between the two, `vectors` the file format of tensors and conformance vectors;
`quantise` and `ptf` bring real tensors into the units' integers. Nothing here needs more than
numpy.
"""
