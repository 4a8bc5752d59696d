# SPDX-License-Identifier: Apache-2.0
"""Recording of real tensors: attention logits and LayerNorm inputs of a network."""
