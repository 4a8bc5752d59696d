"""Recording of real tensors: attention logits and LayerNorm inputs of a network."""
