/* SPDX-License-Identifier: MIT */
#include "proto/json_variants.h"

#if defined(__x86_64__)
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("pclmul");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("gfni") && has_avx2();
}
#endif

static bool has_all(void)
{
    return true;
}

const struct json_variant json_variants[] = {
#if defined(__x86_64__)
    {"avx512", has_avx512, json_walk_avx512, json_row_avx512},
    {"avx2", has_avx2, json_walk_avx2, NULL},
    {"sse2", has_all, json_walk_sse2, NULL},
#elif defined(__aarch64__)
    {"neon", has_all, json_walk_neon, NULL},
#endif
    {"portable", has_all, json_walk_portable, NULL},
};

const size_t n_json_variants = sizeof json_variants / sizeof *json_variants;
