"""The command line: its foundation, and each command as a user starts it."""
