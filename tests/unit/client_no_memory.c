/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of libmsgd and jansson fails in turn, over opening, registering, receiving, a
 * restart of msgd, and closing: each failure is an error or has no effect, and nothing is lost or
 * freed twice. Linked with --wrap for the allocating functions.
 */
#include "client/msgd.h"
#include "client_fake.h"
#include "failing_malloc.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>

/* ---- A msgd that answers whatever it is asked, with a fresh lane for each connection ---- */

struct server {
    struct fake f;
    struct fake_lane lane;
    bool has_lane;
    int n_connections; /* another msgd each time */
    _Atomic bool is_over;
    _Atomic bool hangs_up; /* once, at the next call */
};

static const char *const replies[][2] = {
    {"GetInfo", NULL},
    {"Register", "{\"parameters\":{\"address\":\"127.0.0.1\",\"port\":7,\"generation\":1}}"},
    {"Resolve", "{\"parameters\":{\"address\":\"127.0.0.1\",\"port\":7,\"generation\":1}}"},
    {"Attach", "{\"parameters\":{\"slot\":0,\"lane\":0,\"link\":{\"arena\":0,\"page\":1,"
               "\"outgoing\":2,\"wake\":3,\"doorbell\":4}}}"},
    {"Tap", "{\"error\":\"io.msgd.NoSuchEndpoint\",\"parameters\":{\"name\":\"a\"}}"},
    {"", "{}"},
};

static void give_lane(struct server *s, struct fake_step *step)
{
    if (s->has_lane)
        fake_lane_deinit(&s->lane);
    fake_lane_init(&s->lane);
    s->has_lane = true;
    fake_publish(&s->lane, 0, "hello");
    step->act = FAKE_LINK;
    step->lane = &s->lane;
}

static void answer(struct server *s, const char *call)
{
    struct fake_step step = {0};
    char info[64];
    size_t i = 0;

    while (strstr(call, replies[i][0]) == NULL)
        i++;
    step.reply = replies[i][1];
    snprintf(info, sizeof(info), "{\"parameters\":{\"since\":\"x\",\"pid\":%d}}", s->n_connections);
    if (strcmp(replies[i][0], "GetInfo") == 0)
        step.reply = info;
    if (strcmp(replies[i][0], "Attach") == 0)
        give_lane(s, &step);
    fake_send(&s->f, &step, strlen(step.reply) + 1);
}

static void *serve(void *context)
{
    struct server *s = context;
    char call[4096];

    while (!s->is_over) {
        s->f.connection = accept4(s->f.listener, NULL, NULL, SOCK_CLOEXEC);
        if (s->f.connection < 0)
            break;
        s->n_connections++;
        while (fake_read_call(&s->f, call, sizeof(call)) && !atomic_exchange(&s->hangs_up, false))
            answer(s, call);
        fake_hang_up(&s->f);
    }
    return NULL;
}

static void server_start(struct server *s)
{
    fake_start(&s->f, NULL, 0);
    pthread_join(s->f.thread, NULL);
    cr_assert_eq(pthread_create(&s->f.thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    s->is_over = true;
    shutdown(s->f.listener, SHUT_RDWR);
    pthread_join(s->f.thread, NULL);
    close(s->f.listener);
    unlink(s->f.path);
    rmdir(s->f.directory);
    if (s->has_lane)
        fake_lane_deinit(&s->lane);
}

/* ---- The story ---- */

static int enough(void *context, const char *reply)
{
    (void)context;
    return reply == NULL;
}

static void receive_one(struct msgd *m)
{
    struct msgd_message message;

    if (msgd_receive(m, &message, 1, 200) == 1) {
        cr_expect_eq(message.length, 5);
        int error = msgd_reply(m, &message, "x", 1);
        cr_expect(error == 0 || error == -ESTALE);
        msgd_release(m, &message);
    }
}

/* Does everything, whatever fails on the way. True if nothing did. */
static bool live(struct server *s)
{
    static const struct msgd_registration two[] = {{.name = "a"}, {.name = "b", .port = 7}};
    struct msgd_address address;
    struct msgd *m;
    char *reply = NULL;

    if (msgd_open(&m, s->f.path) != 0)
        return false;
    int errors = msgd_register_many(m, two, 2) != 0;
    receive_one(m);
    errors += msgd_call(m, "io.msgd.GetInfo", "{}", &reply) != 0;
    free(reply);
    errors += msgd_send_from(m, "a", "127.0.0.1:9", "\xff", 1) != 0;
    errors += msgd_resolve(m, "a", &address) != 0;
    s->hangs_up = true;
    errors += msgd_call(m, "io.msgd.GetInfo", NULL, NULL) != -ECONNRESET;
    receive_one(m);
    errors += msgd_registered(m, "a", &(struct msgd_endpoint){0}) != 0;
    errors += msgd_attach(m, "c", &(struct msgd_endpoint){0}) != 0;
    errors += msgd_unregister(m, "b") != 0;
    errors += msgd_call_more(m, "io.msgd.Tap", NULL, 1000, enough, NULL) != -ENOENT;
    if (errors > 0)
        cr_expect_gt(strlen(msgd_error(m)), 0);
    m = msgd_close(m);
    return errors == 0;
}

Test(client_no_memory, each_allocation_may_fail, .timeout = 100)
{
    struct server s = {0};

    json_set_alloc_funcs(__wrap_malloc, free);
    server_start(&s);
    fail_at = 0;
    cr_assert(live(&s));
    unsigned long n = n_allocations;
    cr_expect_gt(n, 50);
    for (unsigned long i = 1; i <= n; i++) {
        n_allocations = 0;
        s.hangs_up = false;
        fail_at = i;
        live(&s);
        fail_at = 0;
    }
    cr_assert(live(&s));
    server_stop(&s);
}
