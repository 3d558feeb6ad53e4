"""Where `mclf` begins, and `python -m mclf_jax.cli`, as `python -m mclf_jax` was spelled before."""

import sys

from mclf_jax.common.machine import memory


def main() -> int:
    """The command of the command line, in a process that suits it."""
    memory.take_large_pages(sys.argv[1:])
    from mclf_jax.cli import main as commands

    return commands.main()


if __name__ == "__main__":
    sys.exit(main())
