#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.version VERSION PROGRAM...: the project, the change log and every program say the same version.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=$1
shift

failed=0
logged=$(sed -n 's/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | head -n 1)
if [ "$logged" != "$version" ]; then
    echo "CHANGELOG.md: the newest version is $logged, the project's is $version"
    failed=1
fi
for program in "$@"; do
    said=$("$program" --version)
    case $said in
    "$(basename "$program") $version" | "$(basename "$program") (msgd) $version") ;;
    *)
        echo "$program --version says: $said"
        failed=1
        ;;
    esac
done
exit $failed
