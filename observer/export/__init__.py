"""The ledger as tables: Parquet files made from an observer's copy, for people who ask questions with other tools."""
