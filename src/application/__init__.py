"""The use cases of Cueline, and the ports through which they reach the world."""
