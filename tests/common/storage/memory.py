"""Object storage in memory, which has no limits of its own."""

import secrets

import fsspec


def new_url(name="run"):
    """Of a place where nothing is yet."""
    return f"memory://{secrets.token_hex(6)}/{name}"


def names(url):
    fs = fsspec.filesystem("memory")
    root = fs._strip_protocol(url)
    return sorted(path.removeprefix(root + "/") for path in fs.find(url))


def put(folder, url):
    """Copy a folder there, as `aws s3 cp --recursive` does."""
    fs = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            fs.put_file(str(path), f"{url}/{path.relative_to(folder).as_posix()}")
