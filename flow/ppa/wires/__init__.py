# SPDX-License-Identifier: Apache-2.0
"""Area, speed and energy of a mapped unit with wires: graywolf places it, qrouter routes it.

`lef` reads the cells' shapes and the layers' capacitances, `design` is the netlist that is placed,
`place` places it, `buffers` divides nets of large load, `route` routes it, `figures` combines the
figures, `picture` draws the layout.
"""
