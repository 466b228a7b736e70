"""A shop that invoices what it has delivered: see README.md."""
