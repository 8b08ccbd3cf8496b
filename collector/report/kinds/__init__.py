"""Kinds of anomalies: `kind` says what one is, a file a family holds them, `catalogue` has every kind once."""
