"""The SQL adapters: a store, and a broker on the store itself, through SQLAlchemy Core."""
