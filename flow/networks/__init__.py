"""Whole networks with the units in the place of softmax and LayerNorm."""
