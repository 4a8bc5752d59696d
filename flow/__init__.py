"""What happens around the units: building, running, reporting, and capturing real tensors."""
