"""`python -m inspector`: the same as the command `inspect`."""

from inspector.cli import main

if __name__ == "__main__":
    main()
