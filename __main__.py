"""`python -m visuals` is the command `visuals`."""

from .pipeline.cli.entry_point import program

if __name__ == "__main__":
    program()
