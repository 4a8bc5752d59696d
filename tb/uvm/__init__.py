"""The pyuvm environment over cocotb-bus pins."""
