"""The page on exported tables: prose from `data_page.txt`, every column from the schema that writes them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import fill
from typing import Final

from ledger.verify import CAVEAT
from observer.export.dataset import RANGE_WIDTH
from observer.export.schema import SCHEMA_VERSION, TABLES, describe_columns

PROSE: Final = Path(__file__).with_name("data_page.txt")
QUERIES: Final = Path(__file__).resolve().parent.parent / "examples" / "queries"

RenderTable = Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]


def encode_page(render_table: RenderTable) -> str:
    """Write the page, but for the notice that it is generated.

    Args:
        render_table: makes a table out of a header and rows.
    """
    tables = ""
    for table in TABLES.values():
        columns = render_table(("column", "type", "meaning"), describe_columns(table))
        tables += f"\n### {table.name}\nA row for {table.rows}.\n\n{columns}"
    questions = (
        (path.read_text(encoding="utf-8").splitlines()[0].removeprefix("-- "), f"[{path.stem}]({path.name})")
        for path in sorted(QUERIES.glob("*.sql"))
    )
    parts = {
        "@CAVEAT@": fill(CAVEAT, width=118, initial_indent="> ", subsequent_indent="> "),
        "@QUERIES@": render_table(("question", "query"), questions).replace("](", "](../examples/queries/"),
        "@RANGE_WIDTH@": f"{RANGE_WIDTH:,}".replace(",", " "),
        "@SCHEMA_VERSION@": str(SCHEMA_VERSION),
        "@TABLES@": tables,
    }
    page = PROSE.read_text(encoding="utf-8")
    for mark, text in parts.items():
        assert mark in page, mark
        page = page.replace(mark, text)
    return page
