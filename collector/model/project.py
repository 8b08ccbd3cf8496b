"""Whose records are whose: every table has a column `project`, and there is one project until there are access keys."""

from __future__ import annotations

PROJECT = "default"
"""The project of every request and question."""
