"""Area, speed and energy of the units in a real cell library and in an FPGA, with open tools only.

`liberty` reads the library, `netlist` makes gates of a unit, `timing` finds their critical path,
`simulation` and `power` give their energy, `measure` puts the figures of a configuration together;
`fpga` does all of it for an FPGA. `store` keeps figures, `page` and `plots` show what is kept.
"""
