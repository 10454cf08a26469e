#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.package BUILD_DIR: the Debian packages can be made, and lintian finds no error in them.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1

for program in dpkg-shlibdeps lintian; do
    if ! command -v $program >/dev/null; then
        echo "SKIPPED: $program is not installed"
        exit 77
    fi
done

"$here/../support/packages.sh" "$build"
for package in msgd libmsgd0 libmsgd-dev; do
    if ! compgen -G "$build/package/packages/${package}_*.deb" >/dev/null; then
        echo "there is no package $package"
        exit 1
    fi
done
lintian --fail-on error --tag-display-limit 0 "$build"/package/packages/*.deb
