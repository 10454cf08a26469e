/* SPDX-License-Identifier: MIT */
/* Sessions on bad networks: what was written is read, once, whole and in order. */
#include "tests/sim/session_parts.h"

int main(int argc, char **argv)
{
    struct sim_options o;

    sim_options_parse(&o, argc, argv);
    run_cells(&o);
    run_fair(&o);
    run_short(&o);
    return 0;
}
