"""`python -m rtspk` is the command line."""

from rtspk.cli import main

if __name__ == "__main__":
    main()
