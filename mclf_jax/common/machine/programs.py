"""Compiled programs are kept from one process to the next, on accelerators.

JAX does that where JAX_COMPILATION_CACHE_DIR names a folder, on any device. Without it they are
kept in `programs` of the cache folder, unless the device is a CPU: programs for one are made for
the very processor that compiled them, which the name that JAX finds them by does not say, and a
home that several machines share would hand them to another; and they compile in seconds. Names of
programs for accelerators hold the versions of JAX, compiler and driver, flags and kind of device.
"""

import jax
from jax.experimental.compilation_cache import compilation_cache

from mclf_jax.common import files

_MOST_BYTES = 8 * 2**30  # those that were not used for longest go first


def keep_programs() -> str:
    """Have JAX keep what it compiles from now on; returns where, or "" where nothing is kept.

    JAX_ENABLE_COMPILATION_CACHE=false switches it off. To be called after
    `jax.distributed.initialize`, since it asks which devices there are.
    """
    if not getattr(jax.config, "jax_enable_compilation_cache"):  # noqa: B009 - it has no types
        return ""
    if given := getattr(jax.config, "jax_compilation_cache_dir"):  # noqa: B009
        return str(given)
    if jax.default_backend() == "cpu":
        return ""
    folder = str(files.cache_folder() / "programs")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    compilation_cache.reset_cache()  # it asks once only, and may have compiled something already
    return folder
