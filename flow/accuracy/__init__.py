"""Error of the units' models against float64 on real tensors, and what it buys."""
