#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.package BUILD_DIR: the Debian packages can be made of what was built, and lintian finds no error in them.
set -eu
build=$1

for program in dpkg-shlibdeps lintian; do
    if ! command -v $program >/dev/null; then
        echo "SKIPPED: $program is not installed"
        exit 77
    fi
done

rm -rf "$build/packages"
if ! said=$(cpack --config "$build/CPackConfig.cmake" 2>&1); then
    echo "$said"
    exit 1
fi
for package in msgd libmsgd0 libmsgd-dev; do
    if ! compgen -G "$build/packages/${package}_*.deb" >/dev/null; then
        echo "there is no package $package"
        exit 1
    fi
done
lintian --fail-on error --tag-display-limit 0 "$build"/packages/*.deb
