#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.shell: shellcheck finds nothing in any shell script of the tree.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v shellcheck >/dev/null; then
    echo "SKIPPED: shellcheck is not installed"
    exit 77
fi
mapfile -t scripts < <(
    find . \( -path ./.git -o -path './build*' -o -path ./.cache \) -prune -o -type f -print |
        while read -r file; do
            if head -c 64 "$file" | head -n 1 | grep -aqE '^#!.*[ /](ba|da|)sh'; then echo "$file"; fi
        done
)
echo "${#scripts[@]} scripts"
shellcheck -x "${scripts[@]}"
