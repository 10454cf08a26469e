/* SPDX-License-Identifier: MIT */
/* Where a worker runs. */
#include "daemon/data/placement.h"

#include <errno.h>

int placement_enter(int cpu, cpu_set_t *former)
{
    cpu_set_t only;

    if (cpu == PLACE_ANY)
        return 0;
    CPU_ZERO(&only);
    CPU_SET((size_t)cpu, &only);
    if (sched_getaffinity(0, sizeof(*former), former) == 0 &&
        sched_setaffinity(0, sizeof(only), &only) == 0)
        return 0;
    if (errno == EPERM) /* the kernel itself never says so of one's own threads */
        return error_trace(-EPERM,
                           "a worker on CPU %d: a filter of system calls forbids "
                           "sched_setaffinity; a unit needs SystemCallFilter=sched_setaffinity",
                           cpu);
    return error_trace(-errno, "a worker on CPU %d", cpu);
}

void placement_leave(int cpu, const cpu_set_t *former)
{
    if (cpu != PLACE_ANY)
        (void)!sched_setaffinity(0, sizeof(*former), former);
}

bool placement_move_away(void)
{
    int cpu = sched_getcpu();
    cpu_set_t all, others;

    if (cpu < 0 || sched_getaffinity(0, sizeof(all), &all) != 0)
        return false;
    others = all;
    CPU_CLR((size_t)cpu, &others);
    if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof(others), &others) != 0)
        return false;
    (void)!sched_setaffinity(0, sizeof(all), &all);
    return true;
}
