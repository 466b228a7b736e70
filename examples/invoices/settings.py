"""What the example is told by its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """Where the Ninox database is and how to enter it; where the invoices and the books go."""

    ninox_url: str  # of the database: .../v1/teams/TEAM/databases/DATABASE
    ninox_token: str
    invoices: Path
    books: Path

    @classmethod
    def from_environment(cls) -> ShopSettings:
        """Read `NINOX_URL`, `NINOX_TOKEN`, `INVOICES_DIR` and `BOOKS`."""
        return cls(
            ninox_url=os.environ.get(
                "NINOX_URL", "http://127.0.0.1:8010/v1/teams/lindner/databases/shop"
            ),
            ninox_token=os.environ.get("NINOX_TOKEN", "demo-token"),
            invoices=Path(os.environ.get("INVOICES_DIR", "invoices")),
            books=Path(os.environ.get("BOOKS", "books.db")),
        )
