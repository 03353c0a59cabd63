"""The chapters of the year, a file each; `devnet.year.script` puts them together."""
