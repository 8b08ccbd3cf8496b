"""Programs that write pages, pictures and golden files."""
