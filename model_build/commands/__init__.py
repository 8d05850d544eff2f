"""What is typed becomes calls of the rooms below, and their errors become one line."""
