"""What a spreadsheet makes of a cell."""

# It runs what begins so as a formula: https://owasp.org/www-community/attacks/CSV_Injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_text(cell: str) -> str:
    """Return a cell that a spreadsheet shows as text: with an apostrophe where it would run it."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
