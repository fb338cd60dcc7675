#!/bin/sh
# base.sh NAME: build a minimal Debian as a local base image, where there is no image registry. Needs root.
# `make images BASE_IMAGE=NAME` then builds on it. Needs buildah, debootstrap and Debian's package mirror.
set -eu
name=$1
release=${RELEASE:-trixie}

missing=
for program in buildah debootstrap; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null
    # shellcheck disable=SC2086 # a list of names
    apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends $missing >/dev/null
fi

root=$(mktemp -d)
container=
clean() {
    [ -z "$container" ] || buildah rm "$container" >/dev/null
    rm -rf "$root"
}
trap clean EXIT
echo "base: building $release from Debian's mirror (about a minute)" >&2
debootstrap --variant=minbase "$release" "$root" >"$root.log" 2>&1 || {
    tail -20 "$root.log" >&2
    exit 1
}
rm "$root.log"
container=$(buildah from scratch)
buildah add --quiet "$container" "$root" / >/dev/null
buildah commit --quiet "$container" "$name" >/dev/null
echo "base: built $name" >&2
