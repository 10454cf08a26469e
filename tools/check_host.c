/* SPDX-License-Identifier: MIT */
/* Judging a host by its settings. */
#include "tools/check_host.h"

#include "tools/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOUND(c, ...)  snprintf((c)->found, sizeof(c)->found, __VA_ARGS__)
#define ADVICE(c, ...) snprintf((c)->advice, sizeof(c)->advice, __VA_ARGS__)

static void check_msgd(const struct host_facts *f, struct host_check *c)
{
    c->name = "msgd";
    c->is_ok = f->is_msgd_up;
    FOUND(c, "%s", f->msgd);
    if (!c->is_ok)
        ADVICE(c, "what follows assumes its defaults");
}

static void check_rmem(const struct host_facts *f, struct host_check *c)
{
    c->name = "net.core.rmem_max";
    c->is_ok = f->rmem_max < 0 || f->rmem_max >= f->buffer_bytes;
    if (f->rmem_max < 0) {
        FOUND(c, "cannot be read");
        return;
    }
    FOUND(c, "%lld, endpoints ask for receive buffers of up to %lld bytes", (long long)f->rmem_max,
          (long long)f->buffer_bytes);
    if (!c->is_ok)
        ADVICE(c, "sysctl -w net.core.rmem_max=%lld, and a line in /etc/sysctl.d to keep it",
               (long long)f->buffer_bytes);
}

static bool overlaps(const int64_t a[2], const int64_t b[2])
{
    return a[0] >= 0 && b[0] >= 0 && a[0] <= b[1] && b[0] <= a[1];
}

static void check_range(const char *name, const int64_t range[2], const struct host_facts *f,
                        struct host_check *c)
{
    c->name = name;
    c->is_ok = !overlaps(range, f->ephemeral);
    FOUND(c, "%lld-%lld, the kernel's own range (ip_local_port_range) is %lld-%lld",
          (long long)range[0], (long long)range[1], (long long)f->ephemeral[0],
          (long long)f->ephemeral[1]);
    if (!c->is_ok)
        ADVICE(c,
               "any program may be given one of these ports: set %s in msgd's configuration, or "
               "sysctl -w net.ipv4.ip_local_port_range, so that they do not overlap",
               name);
}

static void check_descriptors(const struct host_facts *f, struct host_check *c)
{
    c->name = "descriptors";
    c->is_ok = true;
    if (f->descriptors_limit <= 0) {
        FOUND(c, "not known while msgd is not running");
        return;
    }
    c->is_ok = f->descriptors_used <= f->descriptors_limit / 5 * 4;
    FOUND(c, "%lld of %lld in use", (long long)f->descriptors_used,
          (long long)f->descriptors_limit);
    if (!c->is_ok)
        ADVICE(c, "an endpoint needs 1.2: raise LimitNOFILE in msgd.service, or ulimit -n");
}

static void check_kernel_drops(const struct host_facts *f, struct host_check *c)
{
    char mine[FIGURE_MAX], all[FIGURE_MAX] = "an unknown number";
    c->name = "kernel drops";
    c->is_ok = f->n_kernel_dropped == 0;
    if (f->receive_buffer_errors >= 0)
        figure_exact((uint64_t)f->receive_buffer_errors, all);
    FOUND(c,
          "%s of msgd's endpoints for a full receive buffer; of all programs since the start: %s",
          figure_exact((uint64_t)f->n_kernel_dropped, mine), all);
    if (!c->is_ok)
        ADVICE(c, "msgls --drops shows where, and msgls what would help");
}

static void check_database(const struct host_facts *f, struct host_check *c)
{
    c->name = "database";
    c->is_ok = f->database_advice[0] == '\0';
    FOUND(c, "%s", f->database[0] != '\0' ? f->database : "not known while msgd is not running");
    ADVICE(c, "%s", f->database_advice);
}

static void check_firewall(const struct host_facts *f, struct host_check *c)
{
    static const char *const names[] = {"none was seen", "ufw is on", "firewalld is running",
                                        "nftables drops what no rule accepts"};
    static const char *const hints[] = {
        "", "ufw allow PORT/udp for each port that others are to reach",
        "firewall-cmd --add-port=PORT/udp for each port that others are to reach",
        "nft add rule ... udp dport PORT accept for each port that others are to reach"};
    c->name = "firewall";
    c->is_ok = true;
    FOUND(c, "%s; %lld endpoint%s can be reached from other hosts", names[f->firewall],
          (long long)f->n_open, f->n_open == 1 ? "" : "s");
    ADVICE(c, "%s", hints[f->firewall]);
}

void check_host(const struct host_facts *f, struct host_check out[HOST_CHECKS])
{
    memset(out, 0, HOST_CHECKS * sizeof *out);
    check_msgd(f, &out[0]);
    check_rmem(f, &out[1]);
    check_range("port_range", f->port_range, f, &out[2]);
    check_range("session_port_range", f->session_port_range, f, &out[3]);
    check_descriptors(f, &out[4]);
    check_kernel_drops(f, &out[5]);
    check_database(f, &out[6]);
    check_firewall(f, &out[7]);
}

void host_range_parse(const char *text, int64_t out[2])
{
    long long low, high;
    bool is_range = text != NULL && sscanf(text, "%lld %lld", &low, &high) == 2;
    out[0] = is_range ? low : -1;
    out[1] = is_range ? high : -1;
}

/* The n-th word of a line, or NULL. */
static const char *word_at(const char *line, size_t n)
{
    for (;;) {
        line += strspn(line, " ");
        if (*line == '\0' || *line == '\n')
            return NULL;
        if (n-- == 0)
            return line;
        line += strcspn(line, " \n");
    }
}

static bool is_word(const char *at, const char *word)
{
    size_t n = strlen(word);
    return at != NULL && strncmp(at, word, n) == 0 && (at[n] == ' ' || at[n] == '\n' || at[n] == 0);
}

/* In /proc/net/snmp a line of names is followed by one of numbers, in /proc/net/snmp6 each has its
 * own. */
int64_t host_snmp_parse(const char *text, const char *group, const char *field)
{
    size_t n_group = strlen(group);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *next = strchr(line, '\n');
        next = next != NULL ? next + 1 : NULL;
        if (*group == '\0' && is_word(line, field)) {
            const char *value = word_at(line, 1);
            return value != NULL ? atoll(value) : -1;
        }
        bool is_group = *group != '\0' && strncmp(line, group, n_group) == 0 &&
                        line[n_group] == ':' && next != NULL;
        const char *name;
        for (size_t i = 1; is_group && (name = word_at(line, i)) != NULL; i++) {
            const char *value = word_at(next, i);
            if (is_word(name, field))
                return value != NULL ? atoll(value) : -1;
        }
        line = next;
    }
    return -1;
}

bool host_nft_drops(const char *rules)
{
    for (const char *at = rules; (at = strstr(at, "hook input")) != NULL; at++) {
        size_t n = strcspn(at, "\n");
        const char *policy = memmem(at, n, "policy drop", 11);
        if (policy != NULL)
            return true;
    }
    return false;
}
