"""What `runwell doctor` knows: `checks` look at a machine and a data directory, `connect` says what to paste."""
