"""What all the rest stands on: plain values of any class, redaction, forks.

Each module is entered by itself.
"""
