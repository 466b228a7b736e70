"""What runs in the background: the worker, the dispatcher and maintenance."""
