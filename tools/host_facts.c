/* SPDX-License-Identifier: MIT */
/* Gathering what check-host judges. */
#include "tools/host_facts.h"

#include "proto/address.h"
#include "proto/json_input.h"
#include "tools/database.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_BUFFER_BYTES (4 * 1024 * 1024)
#define FILE_MAX             (64 * 1024)

/* The beginning of a file, "" if it cannot be read. */
static const char *read_file(const char *path, char buf[FILE_MAX])
{
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(buf, 1, FILE_MAX - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    buf[n] = '\0';
    return buf;
}

static bool has_nft_drop(char buf[FILE_MAX])
{
    if (geteuid() != 0 || access("/usr/sbin/nft", X_OK) != 0)
        return false;
    FILE *rules = popen("/usr/sbin/nft list ruleset 2>/dev/null", "re");
    if (rules == NULL)
        return false;
    size_t n = fread(buf, 1, FILE_MAX - 1, rules);
    buf[n] = '\0';
    pclose(rules);
    return host_nft_drops(buf);
}

static void gather_host(struct host_facts *out)
{
    static char buf[FILE_MAX];
    const char *text = read_file("/proc/sys/net/core/rmem_max", buf);
    out->rmem_max = *text != '\0' ? atoll(text) : -1;
    host_range_parse(read_file("/proc/sys/net/ipv4/ip_local_port_range", buf), out->ephemeral);
    int64_t v4 = host_snmp_parse(read_file("/proc/net/snmp", buf), "Udp", "RcvbufErrors");
    int64_t v6 = host_snmp_parse(read_file("/proc/net/snmp6", buf), "", "Udp6RcvbufErrors");
    out->receive_buffer_errors = v4 < 0 && v6 < 0 ? -1 : (v4 > 0 ? v4 : 0) + (v6 > 0 ? v6 : 0);
    if (strstr(read_file("/etc/ufw/ufw.conf", buf), "\nENABLED=yes") != NULL)
        out->firewall = FIREWALL_UFW;
    else if (access("/run/firewalld", F_OK) == 0)
        out->firewall = FIREWALLD;
    else if (has_nft_drop(buf))
        out->firewall = FIREWALL_NFT_DROPS;
}

static json_t *call(struct msgd *m, const char *method)
{
    char *text = NULL;
    if (msgd_call(m, method, NULL, &text) != 0)
        return NULL;
    json_t *root;
    json_error_t fault;
    int error = json_input_parse(text, strlen(text), 0, &root, &fault);
    free(text);
    return error == 0 ? root : NULL;
}

static void read_range(const json_t *range, int64_t out[2])
{
    if (json_array_size(range) != 2)
        return;
    out[0] = json_integer_value(json_array_get(range, 0));
    out[1] = json_integer_value(json_array_get(range, 1));
}

static void gather_database(const json_t *store, struct host_facts *out)
{
    char text[DATABASE_TEXT_MAX];
    if (store == NULL)
        return;
    snprintf(out->database, sizeof out->database, "%s", database_found(store, text));
    if (database_advice(store, text) != NULL)
        snprintf(out->database_advice, sizeof out->database_advice, "%s", text);
}

static void gather_daemon(struct msgd *m, struct host_facts *out)
{
    json_t *info = call(m, "io.msgd.GetInfo");
    if (info == NULL) {
        snprintf(out->msgd, sizeof out->msgd, "%s", msgd_error(m));
        out->is_msgd_up = false;
        return;
    }
    const char *version = json_string_value(json_object_get(info, "version"));
    snprintf(out->msgd, sizeof out->msgd, "version %s at %.200s", version != NULL ? version : "?",
             msgd_socket(m));
    read_range(json_object_get(info, "port_range"), out->port_range);
    read_range(json_object_get(info, "session_port_range"), out->session_port_range);
    out->descriptors_used = json_integer_value(json_object_get(info, "descriptors_used"));
    out->descriptors_limit = json_integer_value(json_object_get(info, "descriptors_limit"));
    gather_database(json_object_get(info, "store"), out);
    json_decref(info);
}

static void gather_endpoints(struct msgd *m, struct host_facts *out)
{
    json_t *list = call(m, "io.msgd.List");
    const json_t *endpoint;
    size_t i;
    json_array_foreach(json_object_get(list, "endpoints"), i, endpoint)
    {
        const json_t *wanted = json_object_get(endpoint, "receive_buffer_bytes");
        const char *address = json_string_value(json_object_get(endpoint, "address"));
        struct address a;
        if (json_integer_value(wanted) > out->buffer_bytes)
            out->buffer_bytes = json_integer_value(wanted);
        if (address != NULL && address_parse_ip(address, &a) == 0 && !address_is_loopback(&a))
            out->n_open++;
        const json_t *ledger = json_object_get(endpoint, "ledger");
        out->n_kernel_dropped += json_integer_value(json_object_get(ledger, "kernel_dropped"));
    }
    json_decref(list);
}

void host_facts_gather(struct msgd *m, struct host_facts *out)
{
    *out = (struct host_facts){
        .is_msgd_up = m != NULL,
        .buffer_bytes = DEFAULT_BUFFER_BYTES,
        .port_range = {10000, 24999},
        .session_port_range = {25000, 29999},
    };
    gather_host(out);
    if (m == NULL) {
        snprintf(out->msgd, sizeof out->msgd, "%s", msgd_error(NULL));
        return;
    }
    gather_daemon(m, out);
    gather_endpoints(m, out);
}
