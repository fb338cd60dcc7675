#!/bin/sh
# base.sh NAME: a minimal Debian as a local base image, for where no image registry can be reached. As root.
# `make images BASE_IMAGE=NAME` then builds on it. It needs buildah, debootstrap and Debian's package mirror.
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
echo "base: $release from Debian's mirror (about a minute)" >&2
debootstrap --variant=minbase "$release" "$root" >"$root.log" 2>&1 || {
    tail -20 "$root.log" >&2
    exit 1
}
rm "$root.log"
container=$(buildah from scratch)
buildah add --quiet "$container" "$root" / >/dev/null
buildah commit --quiet "$container" "$name" >/dev/null
echo "base: $name" >&2
