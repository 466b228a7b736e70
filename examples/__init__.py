"""Runnable examples. Each uses Cueline only as its users do: `import cueline`."""
