/* SPDX-License-Identifier: MIT */
/* The parts of the simulation of sessions. */
#ifndef MSGD_TESTS_SIM_SESSION_PARTS_H
#define MSGD_TESTS_SIM_SESSION_PARTS_H

#include "tests/sim/session_pair.h"

/* Many messages over each kind of bad network, both ways at once. */
void run_cells(const struct sim_options *o);
/* Sessions and a TCP-like flow that share a bottleneck, and goodput under loss without one. */
void run_fair(const struct sim_options *o);
/* Short lives: random opens, writes, stalls, closes, aborts, crashes, moves. */
void run_short(const struct sim_options *o);

#endif
