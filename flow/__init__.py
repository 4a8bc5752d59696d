"""Everything around the units: building, running, measuring, reporting, capturing real tensors."""
