#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.shell: shellcheck finds nothing in any shell script of the tree.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v shellcheck >/dev/null; then
    echo "SKIPPED: shellcheck is not installed"
    exit 77
fi
# One awk for all files, which are thousands with the corpora of the fuzz targets.
# shellcheck disable=SC2016
mapfile -t scripts < <(
    find . \( -path ./.git -o -path './build*' -o -path ./.cache \) -prune -o -type f -print0 |
        LC_ALL=C xargs -0 awk 'FNR == 1 { if (substr($0, 1, 64) ~ /^#!.*[ \/](ba|da|)sh/) print FILENAME; nextfile }'
)
echo "${#scripts[@]} scripts"
shellcheck -x "${scripts[@]}"
