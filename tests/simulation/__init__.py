"""The whole system in one process, under a false clock and every fault we can think of.

See docs/simulation.md.
"""
