# SPDX-License-Identifier: Apache-2.0
"""Units for any network: named in words, calibrated on rows of the float one."""
