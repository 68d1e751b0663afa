"""`python -m visuals` is the command `visuals`."""

from .pipeline.cli.program import program

if __name__ == "__main__":
    program()
