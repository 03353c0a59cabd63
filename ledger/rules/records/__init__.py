"""What is known after a prefix of entries, a file a subject: types of records, and the tables they stand in."""
