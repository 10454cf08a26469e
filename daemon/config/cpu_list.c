/* SPDX-License-Identifier: MIT */
/* A list of CPUs. */
#include "daemon/config/cpu_list.h"

#include <sched.h>
#include <string.h>

#define CPU_DIGITS 4 /* no kernel has more than 8,192 */

static bool read_number(const char **at, uint32_t *out)
{
    const char *begin = *at;

    for (*out = 0; **at >= '0' && **at <= '9'; ++*at)
        *out = *out * 10 + (uint32_t)(**at - '0');
    return *at > begin && *at - begin <= CPU_DIGITS;
}

static bool add(struct cpu_list *list, uint32_t cpu)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->cpus[i] == cpu)
            return false;
    if (list->n == CPU_LIST_MAX)
        return false;
    list->cpus[list->n++] = (uint16_t)cpu;
    return true;
}

/* "2" or "2-5". */
static bool read_range(const char **at, struct cpu_list *list)
{
    uint32_t first, last;

    if (!read_number(at, &first))
        return false;
    last = first;
    if (**at == '-' && (++*at, !read_number(at, &last) || last < first))
        return false;
    for (uint32_t cpu = first; cpu <= last; cpu++)
        if (!add(list, cpu))
            return false;
    return true;
}

bool cpu_list_parse(const char *text, struct cpu_list *out)
{
    struct cpu_list list = {.n = 0};

    while (read_range(&text, &list)) {
        if (*text == '\0') {
            *out = list;
            return true;
        }
        if (*text++ != ',')
            break;
    }
    return false;
}

bool cpu_list_equals(const struct cpu_list *a, const struct cpu_list *b)
{
    return a->n == b->n && memcmp(a->cpus, b->cpus, a->n * sizeof(a->cpus[0])) == 0;
}

int cpu_list_forbidden(const struct cpu_list *list)
{
    cpu_set_t allowed;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        CPU_ZERO(&allowed);
    for (uint32_t i = 0; i < list->n; i++)
        if (list->cpus[i] >= CPU_SETSIZE || !CPU_ISSET(list->cpus[i], &allowed))
            return list->cpus[i];
    return -1;
}
