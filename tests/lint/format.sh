#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.format: clang-format 14 would change nothing. Another major version formats otherwise.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

formatter=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$formatter" ]; then
    echo "SKIPPED: clang-format is not installed"
    exit 77
fi
if ! "$formatter" --version | grep -q 'version 14\.'; then
    echo "SKIPPED: needs clang-format 14, here is $("$formatter" --version)"
    exit 77
fi
find proto client daemon tools tests bench docs -name '*.[ch]' -print0 |
    xargs -0 "$formatter" --dry-run -Werror
