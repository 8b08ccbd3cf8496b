"""What an error of the store comes of: the rows that were worked on, memory, the file, or what is around it."""

from __future__ import annotations

import errno
import os
import re
import sqlite3

import duckdb
import polars as pl

from collector.model.errors import Refused, UsageError
from collector.store import FILE

_DAMAGE = re.compile(rf'Corrupt database file|Could not read enough bytes from file "[^"]*{re.escape(FILE)}"')
"""What DuckDB says of a file with a block that is not what it was, and of one that is shorter than it was."""
_OUT_OF_REACH = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EMFILE, errno.ENFILE)
_NOT_OF_DATA = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.TransactionException,
    duckdb.ConnectionException,
    duckdb.InterruptException,
    duckdb.PermissionException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.SyntaxException,
    OSError,
    MemoryError,
    sqlite3.Error,
    UsageError,
)
_OF_MEMORY = re.compile(r"Out of Memory|failed to (?:allocate|pin|reserve)")

NoMemory = (duckdb.OutOfMemoryException, MemoryError)
"""What work ends with that needs more memory than there is now; what else is at work goes on."""


class QueryFailed(Refused):
    """A query is wrong or took too long; the message is DuckDB's first line."""


class Panicked(RuntimeError):
    """polars gave up in the middle of something; its own panic is no `Exception`, which would end a thread."""


def is_of_data(error: BaseException) -> bool:
    """Tell whether *error* can come of the rows that were worked on, rather than of disk, memory or a statement."""
    if isinstance(error, pl.exceptions.PanicException):
        return True
    return isinstance(error, Exception) and not isinstance(error, _NOT_OF_DATA)


def is_of_memory(error: BaseException) -> bool:
    """Tell whether *error* came of too little memory, also where DuckDB could do nothing more after it."""
    return isinstance(error, NoMemory) or _OF_MEMORY.search(str(error)) is not None


def is_damage(e: Exception) -> bool:
    """Tell whether DuckDB found the database file damaged."""
    return _DAMAGE.search(str(e)) is not None


def is_out_of_reach(e: Exception) -> bool:
    """Tell whether *e* says nothing about the file itself: it stays in place, and opening it is tried again."""
    return any(os.strerror(number) in str(e) for number in _OUT_OF_REACH)
