# shellcheck shell=bash
# Sourced by the other scripts: finds Python 3.11 or newer, makes .venv beside the code once,
# and leaves the environment as it is when what it was made from has not changed.
#   MCLF_PYTHON  the interpreter to use          MCLF_VENV  where the environment lives

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
venv="${MCLF_VENV:-$PWD/.venv}"

find_python() {
    local candidate
    for candidate in ${MCLF_PYTHON:-python3.12 python3.11 python3}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "no Python 3.11 or newer found; install one, or name it in MCLF_PYTHON" >&2
    return 1
}

# install EXTRAS [PACKAGE]: the package, editable, with exactly the versions of constraints.txt, and
# another one without what it depends on.
install() {
    local python stamp made_from
    stamp="$venv/installed$1"
    made_from=$(cat pyproject.toml constraints.txt | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$made_from" ]; then
        echo "using the environment in $venv"
    else
        python=$(find_python) || exit 1
        echo "making an environment in $venv with $("$python" --version)"
        [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --constraint constraints.txt --editable ".$1"
        [ -z "${2:-}" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --constraint constraints.txt --no-deps "$2"
        echo "$made_from" >"$stamp"
    fi
    export PATH="$venv/bin:$PATH"
}
