"""What commands answer: documents for scripts, tables and sheets for people."""
