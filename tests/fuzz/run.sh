#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/fuzz/run.sh SECONDS [PARSER...]: builds preset fuzz, runs the fuzz targets (all, if none is
# named) with libFuzzer, each so long, and prints executions and findings. Exits 1 on a finding.
# What is found lies in build/fuzz/findings/PARSER, new inputs in build/fuzz/corpus/PARSER.
# 0 seconds: only what is in the corpora. MSGD_FUZZ_JOBS: how many at a time (1).
# MSGD_FUZZ_MERGE=1: takes new inputs into tests/fuzz/corpus.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ $# -lt 1 ] || ! [[ $1 =~ ^[0-9]+$ ]]; then
    sed -n '3,7s/^# //p' "$0" >&2
    exit 64
fi
seconds=$1
shift

mapfile -t all < <(sed -n 's/^msgd_fuzz_target(\([a-z0-9_]*\).*/\1/p' "$here/CMakeLists.txt")
parsers=("$@")
if [ ${#parsers[@]} = 0 ]; then parsers=("${all[@]}"); fi

cd "$root"
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -- "${parsers[@]/#/fuzz_}" >/dev/null
build=$root/build/fuzz

# The longest input: a datagram's parsers need no more to reach every state.
longest=4096

# fuzz_one PARSER: the last line of its log says how many executions there were.
fuzz_one() {
    local parser=$1 corpus=$build/corpus/$1 findings=$build/findings/$1 log=$build/findings/$1.log
    local executions found begun=$SECONDS dictionary=() long=("-max_total_time=$seconds")
    if [ "$seconds" = 0 ]; then long=(-runs=0); fi
    rm -rf "$findings"
    mkdir -p "$corpus" "$findings"
    if [ -f "$here/$parser.dict" ]; then dictionary=("-dict=$here/$parser.dict"); fi
    nice -n 19 "$build/tests/fuzz/fuzz_$parser" "${long[@]}" -max_len=$longest -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$findings/" "${dictionary[@]}" \
        "$corpus" "$here/corpus/$parser" >"$log" 2>&1 || true
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    found=$(find "$findings" -type f | wc -l)
    printf '%-16s %s  %6s s  %12s executions  %s findings\n' \
        "$parser" "$(date +%F)" "$((SECONDS - begun))" "${executions:-0}" "$found"
    [ "$found" = 0 ] && [ -n "$executions" ]
}

# merge_one PARSER: the fewest inputs that reach everything which all inputs reach; of these 100 of all
# sizes up to 1 KiB, so that the tree stays small. Those with names of their own stay: seeds, findings.
merge_one() {
    local parser=$1 kept=$here/corpus/$1 merged=$build/merged/$1
    rm -rf "$merged"
    mkdir -p "$merged"
    "$build/tests/fuzz/fuzz_$parser" -merge=1 -max_len=$longest "$merged" "$kept" "$build/corpus/$parser" \
        >/dev/null 2>&1
    find "$kept" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    find "$merged" -type f -size -1025c -printf '%s %p\n' | sort -n | cut -d ' ' -f 2- |
        awk '{ line[NR] = $0 } END { step = NR > 100 ? NR / 100 : 1; for (i = 1; i <= NR; i += step) print line[int(i)] }' |
        xargs -r -d '\n' cp -t "$kept"
}

failed=0
running=0
for parser in "${parsers[@]}"; do
    fuzz_one "$parser" &
    running=$((running + 1))
    if [ "$running" -ge "${MSGD_FUZZ_JOBS:-1}" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
if [ "${MSGD_FUZZ_MERGE:-0}" = 1 ]; then
    for parser in "${parsers[@]}"; do merge_one "$parser"; done
fi
exit $failed
