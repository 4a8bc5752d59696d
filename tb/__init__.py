# SPDX-License-Identifier: Apache-2.0
"""The test bench: one cocotb + pyuvm environment for every unit behind the stream contract.

Data flows one way: stimulus -> sequence -> driver -> RTL -> monitors -> scoreboard <- model;
coverage listens and never steers. What is particular to a unit is in its descriptor
(`softnorm.units`); nothing here names one.
"""
