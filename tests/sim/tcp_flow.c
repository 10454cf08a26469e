/* SPDX-License-Identifier: MIT */
/* A bulk flow as a TCP has it. */
#include "tests/sim/tcp_flow.h"

#include <math.h>
#include <string.h>

#define REORDERED  3u /* later ones that have come, and it is lost */
#define TIMEOUT_NS (1000 * SIM_MS)

static void send_some(struct tcp_flow *f)
{
    uint8_t segment[TCP_FLOW_SEGMENT] = {0};

    while ((double)f->n_in_flight < f->window && f->next - f->oldest < TCP_FLOW_MAX) {
        segment[0] = 'd';
        memcpy(segment + 1, &f->next, sizeof f->next);
        f->sent_ns[f->next % TCP_FLOW_MAX] = f->net->now_ns;
        f->has_come[f->next % TCP_FLOW_MAX] = false;
        f->next++;
        f->n_in_flight++;
        sim_send(f->net, f->there, f->number, f->number, segment, sizeof segment);
    }
}

void tcp_flow_begin(struct tcp_flow *f, struct sim_network *net, struct sim_link *there,
                    struct sim_link *back, uint32_t number)
{
    *f = (struct tcp_flow){.is_cubic = f->is_cubic,
                           .net = net,
                           .there = there,
                           .back = back,
                           .number = number,
                           .window = 10,
                           .threshold = 1e9,
                           .heard_ns = net->now_ns};
    send_some(f);
    sim_timer(net, net->now_ns + TIMEOUT_NS, number, 0);
}

static void cut(struct tcp_flow *f)
{
    double before = f->window;

    f->window = before * (f->is_cubic ? 0.7 : 0.5);
    if (f->window < 2)
        f->window = 2;
    f->threshold = f->window;
    f->most = before < f->most ? before * 0.85 : before;
    f->epoch_ns = 0;
    f->cut = f->next;
}

static void grow_cubic(struct tcp_flow *f)
{
    double t, target;

    if (f->epoch_ns == 0) {
        f->epoch_ns = f->net->now_ns;
        f->reno = f->window;
        if (f->most < f->window)
            f->most = f->window;
        f->k_s = cbrt((f->most - f->window) / 0.4);
    }
    t = (double)(f->net->now_ns - f->epoch_ns + f->smoothed_ns) / 1e9 - f->k_s;
    target = fmin(fmax(0.4 * t * t * t + f->most, f->window), 1.5 * f->window);
    f->reno += (f->reno < f->most ? 0.53 : 1) / f->window;
    f->window += (target - f->window) / f->window;
    f->window = fmax(f->window, f->reno);
}

static void acknowledged(struct tcp_flow *f, uint64_t number)
{
    uint64_t rtt_ns = f->net->now_ns - f->sent_ns[number % TCP_FLOW_MAX];

    if (number < f->oldest || f->has_come[number % TCP_FLOW_MAX])
        return; /* taken for lost */
    f->heard_ns = f->net->now_ns;
    f->smoothed_ns = f->smoothed_ns == 0 ? rtt_ns : (7 * f->smoothed_ns + rtt_ns) / 8;
    f->has_come[number % TCP_FLOW_MAX] = true;
    f->n_in_flight--;
    if (number > f->highest)
        f->highest = number;
    if (number < f->cut)
        return;
    if (f->window < f->threshold)
        f->window++;
    else if (f->is_cubic)
        grow_cubic(f);
    else
        f->window += 1 / f->window;
}

static void find_lost(struct tcp_flow *f)
{
    for (; f->oldest < f->next; f->oldest++) {
        if (f->has_come[f->oldest % TCP_FLOW_MAX])
            continue;
        if (f->oldest + REORDERED > f->highest)
            break;
        f->n_in_flight--;
        if (f->oldest >= f->cut)
            cut(f);
    }
}

static void timeout(struct tcp_flow *f)
{
    if (f->net->now_ns - f->heard_ns >= TIMEOUT_NS) {
        cut(f);
        f->window = 1;
        f->oldest = f->next;
        f->n_in_flight = 0;
        f->heard_ns = f->net->now_ns;
    }
    sim_timer(f->net, f->net->now_ns + TIMEOUT_NS, f->number, 0);
}

void tcp_flow_event(struct tcp_flow *f, const struct sim_event *event)
{
    uint64_t number;

    if (event->kind == SIM_TIMER) {
        timeout(f);
    } else if (event->bytes[0] == 'd') {
        f->n_bytes += event->n;
        event->bytes[0] = 'a';
        sim_send(f->net, f->back, f->number, f->number, event->bytes, 9);
        return;
    } else {
        memcpy(&number, event->bytes + 1, sizeof number);
        acknowledged(f, number);
        find_lost(f);
    }
    send_some(f);
}

void tcp_flow_end(struct tcp_flow *f)
{
    *f = (struct tcp_flow){0};
}
