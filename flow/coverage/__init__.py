# SPDX-License-Identifier: Apache-2.0
"""Code coverage: counts of Verilator, waivers, files for other tools."""
