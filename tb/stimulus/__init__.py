"""What is driven: values, scenarios, channel sets, a stimulus as data."""
