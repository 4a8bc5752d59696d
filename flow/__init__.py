"""What happens around the units: real tensors, runs, reports. Imports models, never tb."""
