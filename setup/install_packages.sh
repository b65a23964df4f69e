#!/usr/bin/env bash
# Installs the Debian packages Orrery is built with, and only those that are missing.
#
#   setup/install_packages.sh [EXTRA_PACKAGE...]
#
# Needs nothing where everything is there; otherwise root or sudo, and apt's package mirror.
# Never removes a package, never asks a question.
set -euo pipefail

packages=(
    g++ cmake ninja-build        # compiler and build tools
    ccache mold                  # faster second builds, faster linking
    libboost-dev                 # Boost.Graph (headers): network topologies
    libfmt-dev                   # text formatting
    nlohmann-json3-dev           # JSON
    libcli11-dev                 # command line
    zlib1g-dev                   # gzipped request traces
    libgtest-dev libgmock-dev    # tests
    "$@"
)

fail() {
    echo "orrery set-up: $1" >&2
    exit 1
}

if ! command -v dpkg-query >/dev/null; then
    echo "orrery set-up: not a Debian system; assuming the equivalents of: ${packages[*]}" >&2
    exit 0
fi

installed=$(dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n' "${packages[@]}" 2>/dev/null |
    sed -n 's/^ii *//p' || true)
missing=()
for package in "${packages[@]}"; do
    grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        fail "these packages are missing and need root or sudo to install: ${missing[*]}"
    as_root=(sudo)
    # Without a terminal nobody can type a password.
    [ -t 0 ] || as_root=(sudo -n)
    "${as_root[@]}" true 2>/dev/null ||
        fail "sudo is refused, and these packages are missing: ${missing[*]}"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null >>"$log" 2>&1; }

echo "Installing, once: ${missing[*]}"
# A source that is out of order need not matter: whether the packages can be had is what counts.
apt update || true
if ! apt install -y --no-install-recommends --no-remove "${missing[@]}"; then
    grep -E '^(E|W):' "$log" >&2 || tail -n 5 "$log" >&2
    fail "apt-get could not install (its messages are above): ${missing[*]}"
fi
