"""What may be asked, one module for each group of commands."""
