#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# packages.sh BUILD_DIR: makes the Debian packages of the tree as it is, for the tests that look at them or
# install them. They are in BUILD_DIR/package/packages afterwards.
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1/package

mkdir -p "$build"
exec 9>"$build.lock"
flock 9
rm -rf "$build/packages" # those of other versions
if ! { cmake -S "$root" --preset release -B "$build" -DBUILD_TESTING=OFF &&
    cmake --build "$build" --target package -- -j 2; } >"$build/log" 2>&1; then
    tail -n 40 "$build/log"
    exit 1
fi
