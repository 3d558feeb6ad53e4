# shellcheck shell=bash
# Sourced by scripts that build data of Debian packages.

# unpack FOLDER PACKAGE...: downloads packages without root and unpacks each in FOLDER/PACKAGE; one
# that is there already is left alone.
unpack() {
    local folder=$1 program package into archives
    shift
    for program in apt-get dpkg-deb; do
        command -v "$program" >/dev/null || {
            echo "no $program here: this needs Debian 12 or what descends from it" >&2
            exit 1
        }
    done
    mkdir -p "$folder"
    for package in "$@"; do
        [ -d "$folder/$package" ] && continue
        echo "$package"
        # A folder of its own, which may be entered by the user that apt downloads as.
        into=$(mktemp -d)
        chmod 755 "$into"
        (cd "$into" && apt-get download --quiet --quiet "$package" 2>&1 | sed '/unsandboxed/d' >&2)
        archives=("$into"/*.deb)
        [ -e "${archives[0]}" ] || {
            echo "$package could not be downloaded; does \`apt-cache policy $package\` know it?" >&2
            exit 1
        }
        dpkg-deb -x "${archives[0]}" "$folder/$package.partial"
        mv "$folder/$package.partial" "$folder/$package"
        rm -r "$into"
    done
}
