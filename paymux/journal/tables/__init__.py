"""The journal's tables, in the words of each engine: what is read and written in a transaction."""
