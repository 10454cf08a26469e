/* SPDX-License-Identifier: MIT */
/* A list of CPUs in the manner of taskset(1): "0,2-3". */
#ifndef MSGD_DAEMON_CONFIG_CPU_LIST_H
#define MSGD_DAEMON_CONFIG_CPU_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPU_LIST_MAX 64

/* In the order in which they were written. Zeroed: empty. */
struct cpu_list {
    uint16_t cpus[CPU_LIST_MAX];
    uint32_t n;
};

/* False: it is no such list, is empty, or names a CPU twice or more than CPU_LIST_MAX. */
bool cpu_list_parse(const char *text, struct cpu_list *out);
bool cpu_list_equals(const struct cpu_list *a, const struct cpu_list *b);
/* The first of them on which this process may not run; -1: none. */
int cpu_list_forbidden(const struct cpu_list *list);

#endif
