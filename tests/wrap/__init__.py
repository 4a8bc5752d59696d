# SPDX-License-Identifier: Apache-2.0
"""Units behind registers: driven by cocotbext-axi's masters, which are somebody else's."""
