"""What was acknowledged: numbered groups of Arrow rows in SQLite, on disk before anybody is told.

`writer.Journal` belongs to the receive process, `reader.Reader` to the store. `entries` is the form of one group.
"""

from collector.journal.entries import Entry
from collector.journal.reader import Reader
from collector.journal.writer import Journal

__all__ = ["Entry", "Journal", "Reader"]
