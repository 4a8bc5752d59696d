"""Whole tensors through the RTL without Python at the pins."""
