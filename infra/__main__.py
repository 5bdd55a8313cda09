"""``python -m infra`` is the ``viworks`` command."""

from infra.cli import main

if __name__ == "__main__":
    main()
