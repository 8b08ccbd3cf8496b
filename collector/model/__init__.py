"""The words every stage shares: signals, table schemas, run vocabulary, errors. Imports nothing of ours."""
