#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.man PROGRAM...: mandoc finds nothing in any page, and the page of each program has exactly the
# long options that its --help shows.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

failed=0
if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning docs/man/*.[1-8] || failed=1
else
    echo "mandoc is not installed: only the options are compared"
fi

for program in "$@"; do
    name=$(basename "$program")
    page=$(find docs/man -name "$name.[18]")
    if [ -z "$page" ]; then
        echo "docs/man: no page for $name"
        failed=1
        continue
    fi
    shown=$("$program" --help | grep -oE -- '(^|[^-[:alnum:]])--[a-z][a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u)
    written=$(grep -E '^\.It Fl' "$page" | grep -oE 'Fl -[a-z][a-z-]+' | sed 's/^Fl -/--/' | sort -u)
    if ! difference=$(diff <(echo "$shown") <(echo "$written")); then
        echo "$page against $name --help (< only in the help, > only in the page):"
        echo "$difference"
        failed=1
    fi
done
exit $failed
