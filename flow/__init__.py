# SPDX-License-Identifier: Apache-2.0
"""Everything around the units: building, running, measuring, reporting, capturing real tensors."""
