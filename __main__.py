"""`python -m visuals` is the command `visuals`."""

from .pipeline.cli import main

if __name__ == "__main__":
    main(prog_name="visuals")
