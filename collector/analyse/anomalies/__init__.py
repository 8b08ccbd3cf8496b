"""What differs from what was expected: tests on counts, and expectations learnt from a task's own past."""
