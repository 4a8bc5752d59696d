"""Builds of a unit for a simulator, kept as long as nothing that they depend on changes."""
