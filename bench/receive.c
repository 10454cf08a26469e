/* SPDX-License-Identifier: MIT */
/* A consumer by Receive, as any Varlink client is one: receive any NAME [options of load.h]. */
#include "bench/load.h"
#include "client/msgd.h"

#include <jansson.h>

static int take(void *context, const char *reply)
{
    json_t *envelope = json_loads(reply, JSON_ALLOW_NUL, NULL);
    json_t *payload = json_object_get(envelope, "payload");
    if (payload == NULL)
        load_fail("Receive", reply);
    bool is_last = load_take(context, json_string_value(payload), json_string_length(payload));
    json_decref(envelope);
    return is_last;
}

int main(int argc, char **argv)
{
    static struct load l;
    struct msgd *m;
    char parameters[128];
    load_parse(&l, argc, argv);
    snprintf(parameters, sizeof parameters, "{\"name\": \"%s\", \"mailbox_bytes\": 16777216}",
             l.target);
    if (msgd_open(&m, NULL) != 0)
        load_fail("msgd_open", msgd_error(NULL));
    load_ready();
    if (msgd_call_more(m, "io.msgd.Receive", parameters, -1, take, &l) < 0)
        load_fail("Receive", msgd_error(m));
    load_print(&l);
    m = msgd_close(m);
    return 0;
}
