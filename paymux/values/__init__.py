"""Reading and checking single values: money, phones, JSON, JWT, URLs.

Each module is entered by itself.
"""
