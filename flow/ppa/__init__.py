"""Area, speed and energy of the units in a real cell library, with open tools only.

`liberty` reads the library, `netlist` makes gates of a unit, `timing` finds their critical path,
`measure` puts the figures of a configuration together.
"""
