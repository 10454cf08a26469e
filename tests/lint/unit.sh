#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.unit BUILD_DIR: systemd finds no fault with the units, and the service's exposure is at most 1.5.
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1

if ! command -v systemd-analyze >/dev/null; then
    echo "SKIPPED: systemd-analyze is not installed"
    exit 77
fi
version=$(systemd-analyze --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "$version" -lt 250 ]; then
    echo "SKIPPED: systemd-analyze $version knows no --offline; 250 does"
    exit 77
fi

if ! said=$(systemd-analyze security --offline=true --no-pager --threshold=15 "$root/systemd/msgd.service"); then
    echo "$said"
    exit 1
fi
echo "$said" | tail -n 1

# verify looks whether the programs are there: give it those that were built.
units=$(mktemp -d)
trap 'rm -r "$units"' EXIT
sed -e "s|/usr/sbin/msgd|$build/daemon/msgd|" -e "s|/usr/bin/msgctl|$build/tools/msgctl|" "$root/systemd/msgd.service" >"$units/msgd.service"
cp "$root/systemd/msgd.socket" "$units/"
said=$(systemd-analyze verify --man=no "$units/msgd.service" "$units/msgd.socket" 2>&1 | grep -F msgd || true)
if [ -n "$said" ]; then
    echo "$said"
    exit 1
fi
