# SPDX-License-Identifier: Apache-2.0
"""The pyuvm environment over cocotb-bus pins."""
