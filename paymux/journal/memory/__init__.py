"""What a pool without a journal remembers of its orders, until the process ends."""
