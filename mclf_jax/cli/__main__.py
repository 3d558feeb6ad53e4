"""`python -m mclf_jax.cli`, as `python -m mclf_jax` was spelled before."""

import sys

from mclf_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
