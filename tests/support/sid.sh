#!/usr/bin/env bash
# The tests under Pythons newer than this machine's: those of Debian's unstable, in build/sid.
#
#   tests/support/sid.sh 3.14 3.15 -- [what pytest is to be told]
#
# Needs root and debootstrap. The tests run as an ordinary user, in a mount namespace that ends with them.
set -euo pipefail
cd "$(dirname "$0")/../.."

versions=()
while (($#)) && [[ $1 != -- ]]; do
  versions+=("$1")
  shift
done
shift || true

sid=build/sid
if [[ ! -x $sid/usr/bin/apt-get ]]; then
  mkdir -p build
  debootstrap --variant=minbase --include=make,git,ca-certificates,iproute2,procps sid "$sid"
fi
cp /etc/resolv.conf "$sid/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$sid/etc/ssl/certs/" # of a proxy, where there is one
packages=(tshark)
for version in "${versions[@]}"; do packages+=("python$version" "python$version-venv"); done
DEBIAN_FRONTEND=noninteractive chroot "$sid" apt-get install -qq --yes --no-install-recommends "${packages[@]}" >/dev/null
chroot "$sid" id lab >/dev/null 2>&1 || chroot "$sid" useradd --create-home lab

failed=()
for version in "${versions[@]}"; do
  home=/home/lab/$version
  rm -rf "$sid$home"
  git clone --quiet . "$sid$home"
  chroot "$sid" chown -R lab:lab "$home"
  echo "== Python $version, Debian unstable"
  # A root directory of its own, not a chroot: in one, nobody may make namespaces.
  unshare --mount --pid --fork bash -euo pipefail -c '
    mount --bind "$1" "$1"
    cd "$1"
    mount -t proc proc proc
    mount --rbind /dev dev
    mount --rbind /sys sys
    pivot_root . mnt
    umount --lazy /mnt
    cd "$2"
    version=$3
    shift 3
    exec su lab --shell /bin/bash --command "
      export LANG=C.UTF-8 PIP_CERT=/etc/ssl/certs/ca-certificates.crt PYTHON=/usr/bin/python$version
      make .venv/dev && .venv/bin/pytest -q $(printf "%q " "$@")"
  ' sid "$sid" "$home" "$version" "$@" || failed+=("$version")
done
if ((${#failed[@]})); then
  echo "The tests failed under Python ${failed[*]}." >&2
  exit 1
fi
