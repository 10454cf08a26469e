/* SPDX-License-Identifier: MIT */
/* Is this host set up so that no datagram is lost for want of a setting? */
#ifndef MSGD_TOOLS_CHECK_HOST_H
#define MSGD_TOOLS_CHECK_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_TEXT_MAX 600

enum host_firewall {
    FIREWALL_NONE, /* none that can be seen */
    FIREWALL_UFW,
    FIREWALLD,
    FIREWALL_NFT_DROPS, /* nftables with an input chain whose policy is drop */
};

/* What there is to know. Numbers that could not be read are -1. */
struct host_facts {
    bool is_msgd_up;
    char msgd[256];       /* its version and socket, or why it cannot be reached */
    int64_t rmem_max;     /* net.core.rmem_max */
    int64_t buffer_bytes; /* the largest receive_buffer_bytes in use, or the default */
    int64_t ephemeral[2]; /* net.ipv4.ip_local_port_range */
    int64_t port_range[2];
    int64_t session_port_range[2];
    int64_t descriptors_used;
    int64_t descriptors_limit;
    int64_t receive_buffer_errors;       /* Udp RcvbufErrors and Udp6 Udp6RcvbufErrors */
    int64_t n_kernel_dropped;            /* of the endpoints of msgd */
    char database[HOST_TEXT_MAX];        /* how it is; "": not known */
    char database_advice[HOST_TEXT_MAX]; /* "": nothing is wrong with it */
    enum host_firewall firewall;
    int64_t n_open; /* endpoints that others than this host can reach */
};

struct host_check {
    const char *name;
    bool is_ok;
    char found[HOST_TEXT_MAX];
    char advice[HOST_TEXT_MAX]; /* "": none */
};

#define HOST_CHECKS 8

/* Judges the facts. */
void check_host(const struct host_facts *facts, struct host_check out[HOST_CHECKS]);

/*
 * Bounds from "a b" as in /proc/sys; -1 where there are none.
 */
void host_range_parse(const char *text, int64_t out[2]);

/* A counter from the text of /proc/net/snmp: the number under `field` in the lines of `group`, or
 * -1. */
int64_t host_snmp_parse(const char *text, const char *group, const char *field);

/* Does a list of nftables rules hold an input chain whose policy is drop? */
bool host_nft_drops(const char *rules);

#endif
