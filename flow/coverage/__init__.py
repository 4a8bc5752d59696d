"""Code coverage: counts of Verilator, waivers, files for other tools."""
