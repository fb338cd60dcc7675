#!/bin/sh
# install.sh VENV LOCKFILE [PROGRAMS]: create the virtual environment and check the programs in debian.txt. Missing ones
# are installed if this runs as root; otherwise it prints the command and exits. Missing programs in the list PROGRAMS
# are extracted from their packages into the virtual environment, which needs no root.
set -eu
venv=$1
lock=$2
unpacked=${3:-/dev/null}
python=${PYTHON:-python3}
PATH=$PATH:/usr/sbin:/sbin
here=$(dirname "$0")

say() { echo "set-up: $*" >&2; }

update() { apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null; }

extract() ( # PROGRAM PACKAGE
    folder=$(mktemp -d) && trap 'rm -r "$folder"' EXIT &&
        # Otherwise apt warns that its sandbox user cannot write there. Downloads are verified in any case.
        (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download "$2" && dpkg-deb --extract ./*.deb .) &&
        install "$folder/usr/bin/$1" "$venv/bin/$1"
)

missing=
while read -r program package; do
    case $program in '#'* | '') continue ;; esac
    command -v "$program" >/dev/null || missing="$missing $package"
done <"$here/debian.txt"

command -v "$python" >/dev/null || missing="$missing python3 python3-venv"
if command -v "$python" >/dev/null; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "Python 3.11 or newer is required, this is $("$python" --version); choose another one: make PYTHON=python3.12 ..."
        exit 1
    }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
fi

if [ -n "$missing" ]; then
    packages=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
    command -v apt-get >/dev/null || {
        say "programs are missing; their Debian packages: $packages"
        exit 1
    }
    [ "$(id -u)" = 0 ] || {
        say "run this first, as root: apt-get install --yes --no-install-recommends $packages"
        exit 1
    }
    say "installing Debian packages: $packages"
    export DEBIAN_FRONTEND=noninteractive
    update
    # shellcheck disable=SC2086 # a list of names
    apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends $packages >/dev/null
fi

say "installing the Python packages of $lock into $venv (about a minute)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"

while read -r program package; do
    case $program in '#'* | '') continue ;; esac
    command -v "$program" >/dev/null || [ -x "$venv/bin/$program" ] && continue
    say "extracting $program from the Debian package $package into $venv"
    extract "$program" "$package" </dev/null 2>/dev/null && continue
    # The package lists can be old or missing, as in a container image.
    { [ "$(id -u)" = 0 ] && update && extract "$program" "$package" </dev/null; } || {
        say "this failed; run apt-get update as root, or put $program on PATH, and retry"
        exit 1
    }
done <"$unpacked"
say "done"
