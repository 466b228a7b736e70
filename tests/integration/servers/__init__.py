"""The real servers of the integration tests: which ones, and what may be done to them.

A test asks for `postgres_url`, `redis_url` or `rabbitmq_url` and has it to itself; a test of faults
also asks for `postgres_server`, `redis_server` or `rabbitmq_server`, and breaks it.
"""
