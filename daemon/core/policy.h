/* SPDX-License-Identifier: MIT */
/*
 * Who may do what: the rules of the configuration and the access table of docs/protocol.md, section
 * "Access". Names of users and groups are resolved before they get here.
 *
 * Any user may register on loopback, from port 1024 up, under a name that nobody reserved. A rule
 * gives more to its users and groups (without any: to everyone), and what it leaves out stays at
 * what any user may: no `addresses` is loopback, no `ports` is 1024 and up, no `names` is any name
 * that is not reserved for others. The patterns in a rule's `names` are reserved for its users.
 * One rule has to permit the whole registration.
 */
#ifndef MSGD_DAEMON_CORE_POLICY_H
#define MSGD_DAEMON_CORE_POLICY_H

#include "daemon/base/error.h"
#include "daemon/core/principals.h"
#include "daemon/core/settings.h"
#include "proto/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ports first to last, both included. {0, 0}: one from port_range. */
struct port_span {
    uint16_t first;
    uint16_t last;
};

/* Addresses that a rule permits: "*" is everything, "0.0.0.0" all of IPv4, "::" all of IPv6. */
struct policy_addresses {
    bool is_everything;
    struct network network;
};

struct policy_rule {
    struct principals who;
    char **names; /* n_names patterns, owned */
    size_t n_names;
    struct policy_addresses *addresses; /* n_addresses of them, owned */
    size_t n_addresses;
    struct port_span *ports; /* n_ports of them, owned */
    size_t n_ports;
};

struct policy {
    uid_t daemon_uid;
    bool has_administrators;
    gid_t administrators;      /* the group msgd, where there is one */
    struct policy_rule *rules; /* n_rules of them, owned */
    size_t n_rules;
};

enum policy_outcome { POLICY_REFUSED = 1 };

/* Bytes for the text of a refusal, NUL included. */
#define POLICY_RULE_TEXT_MAX 320

void policy_rule_deinit(struct policy_rule *r);
void policy_deinit(struct policy *p);

/* Root, the daemon's own user, a member of the group msgd. */
bool policy_is_administrator(const struct policy *p, const struct credentials *who);

/*
 * May `who` register settings (name, address, port)? 0, or POLICY_REFUSED: rule then says what
 * would permit it, such as: policy: {"users": ["1000"], "names": ["x"], "addresses": ["0.0.0.0"],
 * "ports": "7000"}. For an endpoint that is there already, and static, policy_may_own decides
 * instead.
 */
int policy_may_register(const struct policy *p, const struct credentials *who,
                        const struct settings *settings, char rule[POLICY_RULE_TEXT_MAX]) MUST_USE;

/*
 * May `who` attach to an endpoint, receive, send as it, tap, look into its quarantine and release
 * it? owner: the uid that registered it. owners: whose a static endpoint is (then owner does not
 * count), NULL for any other.
 */
bool policy_may_own(const struct policy *p, const struct credentials *who, uid_t owner,
                    const struct principals *owners);

/* Parses "10.0.0.0/8", "0.0.0.0", "::", "*", "192.0.2.1". 0 or -EINVAL. */
int policy_parse_addresses(const char *text, struct policy_addresses *out) MUST_USE;

/*
 * Parses "7000-7099,8000"; "0" stands for a port from port_range. *spans is the caller's to free.
 * 0, -EINVAL, -ENOMEM.
 */
int policy_parse_ports(const char *text, struct port_span **spans, size_t *n_spans) MUST_USE;

#endif
