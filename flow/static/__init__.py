"""What needs no simulation: lint, generic synthesis, generated files, the site."""
