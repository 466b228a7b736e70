"""The rules of Cueline: pure Python on the standard library, with no I/O, no clock and no chance.

Time, identifiers and random numbers arrive as data, so that every rule here can be read, tested and
replayed as a plain function.
"""
