"""Let the tests of this folder tell stories of runs with the vocabulary of `tests/analyse/story.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "analyse"))
