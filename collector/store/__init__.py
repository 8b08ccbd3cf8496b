"""The DuckDB projection of the journal: rows of records, rows of the run model, and nothing it cannot rebuild.

`database` holds the connection and gives out handles (`handle`), `errors` what a failure comes of, `ddl` the tables,
`apply` takes journal groups in, `run_tables` the facts and rows of runs, `named` the queries in `queries/`, `confined`
analysts' SQL.
"""

FILE = "runwell.duckdb"
CATALOG = "runwell"
"""How statements name this file where temporary views hide its tables: the file's stem."""
