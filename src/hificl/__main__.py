"""``python -m hificl``: the command line, for launchers that want a module."""

from hificl.cli import main

if __name__ == "__main__":
    main()
