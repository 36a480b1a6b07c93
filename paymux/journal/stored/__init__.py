"""A journal in a database: what calls the operations on its tables, for any engine."""
