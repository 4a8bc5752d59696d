# SPDX-License-Identifier: Apache-2.0
"""What is driven: values, scenarios, channel sets, a stimulus as data."""
