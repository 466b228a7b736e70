"""A small application for tests that run Cueline in processes of their own."""
