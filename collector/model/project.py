"""Whose records are whose: every table has a column `project`, and there is one project until keys name others."""

from __future__ import annotations

PROJECT = "default"
"""The project of every request and question."""
