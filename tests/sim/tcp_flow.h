/* SPDX-License-Identifier: MIT */
/*
 * A bulk flow as a TCP has it: NewReno's or CUBIC's window, each loss a sign of congestion, at most
 * one cut a round trip. Segments are acknowledged one by one, so that nothing is measured but the
 * window.
 */
#ifndef MSGD_TESTS_SIM_TCP_FLOW_H
#define MSGD_TESTS_SIM_TCP_FLOW_H

#include "tests/sim/network.h"

#define TCP_FLOW_SEGMENT 1452u
#define TCP_FLOW_MAX     4096u /* segments under way */

struct tcp_flow {
    bool is_cubic;
    struct sim_network *net;
    struct sim_link *there, *back;
    uint32_t number; /* both ends of it, on the network */

    double window, threshold; /* segments */
    double most, k_s, reno;   /* CUBIC */
    uint64_t epoch_ns;
    uint64_t smoothed_ns;
    uint64_t next, oldest, highest, cut; /* segment numbers */
    uint64_t heard_ns;
    uint64_t sent_ns[TCP_FLOW_MAX];
    bool has_come[TCP_FLOW_MAX];
    uint64_t n_in_flight;
    uint64_t n_bytes; /* that have come */
};

void tcp_flow_begin(struct tcp_flow *f, struct sim_network *net, struct sim_link *there,
                    struct sim_link *back, uint32_t number);
void tcp_flow_event(struct tcp_flow *f, const struct sim_event *event);
void tcp_flow_end(struct tcp_flow *f);

#endif
