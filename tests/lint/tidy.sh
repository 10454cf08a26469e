#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.tidy BUILD_DIR [--paths]: clang-tidy finds nothing in the product's code. Checks and reasons: .clang-tidy.
# --paths: what follows paths through functions, in place of the rest. Off are, each for its reason:
#   security.insecureAPI.DeprecatedOrUnsafeBufferHandling   asks for memcpy_s, which glibc does not have
#   optin.performance.Padding                               structs are ordered for the reader
#   valist.Uninitialized                                    false alarms over va_start in several files at once
#   core.NullDereference, .uninitialized.Assign, .UndefinedBinaryOperatorResult, .CallAndMessage, .NonNullParamChecker,
#   core.StackAddressEscape, unix.Malloc                    argue without the invariants of circular lists and of "0 means *out
#       is set", and of what main holds until the end; the sanitizers and failing every allocation look instead
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1
checks=()
if [ "${2:-}" = --paths ]; then
    off=(security.insecureAPI.DeprecatedOrUnsafeBufferHandling optin.performance.Padding valist.Uninitialized
        core.NullDereference core.uninitialized.Assign core.UndefinedBinaryOperatorResult core.CallAndMessage
        core.NonNullParamChecker core.StackAddressEscape unix.Malloc)
    checks=(--checks="-*,clang-analyzer-*$(printf ',-clang-analyzer-%s' "${off[@]}")")
fi

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
    xargs -0 -n 4 -P "$(nproc)" "$tidy" -p "$build" "${checks[@]}" --quiet --warnings-as-errors='*' 2> >(grep -vE 'warnings? generated' >&2)
