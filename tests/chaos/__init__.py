"""Chaos: real workers, real servers, and one thing after another that breaks; the long table.

A *row* is one kind of fault. It runs in a *world* for each broker that it concerns: a database of
its own on PostgreSQL, some workers, a steady load, and then strike after strike. When the strikes
stop everything must come to its end, and the history is held against what was promised.

    python -m tests.chaos --short             # what CI runs (test_chaos.py)
    python -m tests.chaos --long              # what `make chaos` runs, for about an hour
    python -m tests.chaos --only sigstop      # one row
"""
