"""What people see: options and tables, and messages of what went wrong."""
