"""PostgreSQL: connections through asyncpg, the store, and its clock."""
