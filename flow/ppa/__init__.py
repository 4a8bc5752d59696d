# SPDX-License-Identifier: Apache-2.0
"""Area, speed and energy of the units in a real cell library and in an FPGA, with open tools only.

`liberty` reads the library, `netlist` maps a unit to gates, `timing` finds the critical path,
`simulation` and `power` give the energy, `measure` combines the figures of a configuration; `fpga`
does all of this for an FPGA. `store` stores figures, `page` and `plots` show them.
"""
