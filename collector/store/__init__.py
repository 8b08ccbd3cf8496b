"""The DuckDB projection of the journal: rows of records, rows of the run model, and nothing it cannot rebuild.

`database` holds the connection and gives out handles, `ddl` the tables, `apply` takes journal groups in,
`run_tables` the facts and rows of runs, `named` the queries in `queries/`, `confined` analysts' SQL.
"""

FILE = "runwell.duckdb"
