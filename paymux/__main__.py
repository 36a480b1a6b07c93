"""`paymux` on the command line."""

import sys


def main() -> None:
    """Run the command line; without its libraries, say how to install them."""
    try:
        from .cli import start  # noqa: PLC0415 - its libraries come with the `cli` extra
    except ModuleNotFoundError as missing:
        if missing.name not in ("click", "rich"):
            raise
        sys.stderr.write(
            f"paymux: {missing.name} is missing; install the command line with: pip install "
            "'paymux[cli]'\n"
        )
        sys.exit(2)
    start()


if __name__ == "__main__":
    main()
