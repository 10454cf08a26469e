/* SPDX-License-Identifier: MIT */
/* msgctl info: the daemon itself. */
#include "tools/info.h"

#include "tools/database.h"
#include "tools/tool.h"

static long long number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? json_string_value(value) : "none";
}

static void print_workers(const json_t *info, FILE *out)
{
    const json_t *cpus = json_object_get(info, "workers_cpus"), *cpu;
    size_t i;

    fprintf(out, "workers        %lld", number(info, "workers"));
    json_array_foreach(cpus, i, cpu)
        fprintf(out, "%s %lld", i == 0 ? ", on CPU" : ",", json_integer_value(cpu));
    fputc('\n', out);
}

static void print_ports(const json_t *info, const char *title, const char *key, FILE *out)
{
    const json_t *range = json_object_get(info, key);

    fprintf(out, "%-14s %lld-%lld\n", title, json_integer_value(json_array_get(range, 0)),
            json_integer_value(json_array_get(range, 1)));
}

void info_print(const json_t *info, FILE *out)
{
    char database[DATABASE_TEXT_MAX];

    fprintf(out, "msgd           %s, pid %lld, user %s, since %s\n", text(info, "version"),
            number(info, "pid"), tool_user_of(number(info, "uid")), text(info, "since"));
    fprintf(out, "socket         %s\n", text(info, "socket"));
    fprintf(out, "configuration  %s\n", text(info, "configuration"));
    print_workers(info, out);
    fprintf(out, "endpoints      %lld\n", number(info, "endpoints"));
    fprintf(out, "connections    %lld\n", number(info, "connections"));
    fprintf(out, "sessions       %lld\n", number(info, "sessions"));
    fprintf(out, "descriptors    %lld of %lld\n", number(info, "descriptors_used"),
            number(info, "descriptors_limit"));
    print_ports(info, "ports", "port_range", out);
    print_ports(info, "session ports", "session_port_range", out);
    fprintf(out, "database       %s\n", database_found(json_object_get(info, "store"), database));
}
