# SPDX-License-Identifier: Apache-2.0
"""Errors of the units' models against float64 on real tensors, and their cost in storage."""
