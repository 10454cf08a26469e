/* SPDX-License-Identifier: MIT */
/* The table of methods, and how a call finds its own. */
#include "daemon/control/methods.h"

#include "daemon/control/connection.h"

#include <string.h>

static const struct method methods[] = {
    {.name = "org.varlink.service.GetInfo", .run = method_service_get_info},
    {.name = "org.varlink.service.GetInterfaceDescription",
     .run = method_get_interface_description},
    {.name = "io.msgd.Register", .run = method_register},
    {.name = "io.msgd.Release", .run = method_release},
    {.name = "io.msgd.Attach", .run = method_attach},
    {.name = "io.msgd.Receive", .run = method_receive, .needs_more = true, .takes_more = true},
    {.name = METHOD_ACK, .run = method_ack},
    {.name = "io.msgd.Reply", .run = method_reply},
    {.name = "io.msgd.Send", .run = method_send},
    {.name = "io.msgd.List", .run = method_list, .takes_more = true},
    {.name = "io.msgd.Tap", .run = method_tap, .needs_more = true, .takes_more = true},
    {.name = "io.msgd.Listen", .run = method_listen, .needs_more = true, .takes_more = true},
    {.name = "io.msgd.Accept", .run = method_accept},
    {.name = "io.msgd.Refuse", .run = method_refuse},
    {.name = "io.msgd.Write", .run = method_write},
    {.name = "io.msgd.Close", .run = method_close},
    {.name = "io.msgd.Resolve", .run = method_resolve},
    {.name = "io.msgd.Reload", .run = method_reload},
    {.name = "io.msgd.Upgrade", .run = method_upgrade},
    {.name = "io.msgd.Quarantine", .run = method_quarantine},
    {.name = "io.msgd.QuarantineReplay", .run = method_quarantine_replay},
    {.name = "io.msgd.QuarantinePurge", .run = method_quarantine_purge},
    {.name = "io.msgd.SpoolRead", .run = method_spool_read},
    {.name = "io.msgd.SpoolReplay", .run = method_spool_replay},
    {.name = "io.msgd.SpoolPurge", .run = method_spool_purge},
    {.name = "io.msgd.Metrics", .run = method_metrics},
    {.name = "io.msgd.GetInfo", .run = method_get_info},
};

static const struct method *find(const char *name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

static bool is_in_interface(const char *method, const char *interface)
{
    size_t n = strlen(interface);

    return strncmp(method, interface, n) == 0 && method[n] == '.' && !strchr(method + n + 1, '.');
}

static void answer_unknown(struct call *call)
{
    const char *name = call->in.method;
    const char *dot = strrchr(name, '.');

    if (dot && !is_in_interface(name, "io.msgd") && !is_in_interface(name, "org.varlink.service")) {
        struct json_writer *w = call_begin_error(call, "org.varlink.service.InterfaceNotFound");

        json_put_string_n(w, "interface", name, (size_t)(dot - name));
    } else {
        struct json_writer *w = call_begin_error(call, "org.varlink.service.MethodNotFound");

        json_put_string(w, "method", name);
    }
    call_finish(call);
}

void methods_dispatch(struct call *call)
{
    call->method = find(call->in.method);
    if (!call->method) {
        answer_unknown(call);
    } else if (call->in.upgrade) {
        call_invalid_parameter(call, "upgrade");
    } else if (call->method->needs_more && (!call->in.more || call->in.oneway)) {
        call_begin_error(call, "org.varlink.service.ExpectedMore");
        call_finish(call);
    } else {
        call->method->run(call);
    }
}
