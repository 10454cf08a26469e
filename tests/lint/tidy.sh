#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.tidy BUILD_DIR: clang-tidy finds nothing in the product's code. Checks and reasons: .clang-tidy
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1

tidy=$(command -v clang-tidy-14 || command -v clang-tidy || true)
if [ -z "$tidy" ]; then
    echo "SKIPPED: clang-tidy is not installed"
    exit 77
fi
if ! "$tidy" --version | grep -q 'version 14\.'; then
    echo "SKIPPED: needs clang-tidy 14, here is $("$tidy" --version | grep version)"
    exit 77
fi
find "$root"/{proto,client,daemon,tools} -name '*.c' -print0 |
    xargs -0 -n 4 -P "$(nproc)" "$tidy" -p "$build" --quiet --warnings-as-errors='*' 2> >(grep -v 'warnings generated' >&2)
