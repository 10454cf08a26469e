#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.exports HEADER SHARED STATIC: the libraries export the functions of msgd.h, all of them and
# nothing else.
set -eu
header=$1 shared=$2 static=$3

wanted=$(tr '\n' ' ' <"$header" | sed 's/MSGD_API/\nMSGD_API/g' |
    sed -n 's/^MSGD_API [^(]*[ *]\(msgd_[a-z_]*\)(.*/\1/p' | sort)
[ -n "$wanted" ] || { echo "found no function in $header" >&2; exit 1; }

# What a sanitizer or gcov adds is none of the library's.
exported() {
    sed -n 's/^[0-9a-f]* [A-TV-Z] \([^@]*\).*/\1/p' | grep -vE '^(__|_init$|_fini$|MSGD_0$)' | sort
}

status=0
for library in "$shared" "$static"; do
    case $library in
    *.a) found=$(nm -g --defined-only "$library" | exported) ;;
    *) found=$(nm -D --defined-only "$library" | exported) ;;
    esac
    if ! difference=$(diff <(echo "$wanted") <(echo "$found")); then
        echo "$library against $header (< only declared, > only exported):"
        echo "$difference"
        status=1
    fi
done
exit $status
