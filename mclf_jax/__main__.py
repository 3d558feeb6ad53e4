"""`python -m mclf_jax`: the `mclf` command where it is not on the path."""

import sys

from mclf_jax.cli.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
