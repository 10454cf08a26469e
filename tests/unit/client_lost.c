/* SPDX-License-Identifier: MIT */
/* What libmsgd makes of a msgd that breaks off, or sends what cannot be. */
#include "client_lost_fixture.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

Test(client_lost, says_how_to_start_msgd_when_nothing_listens)
{
    struct msgd *m;

    cr_assert_eq(msgd_open(&m, "/nonexistent/msgd.sock"), -ENOENT);
    cr_expect_null(m);
    cr_expect_not_null(strstr(msgd_error(NULL), "/nonexistent/msgd.sock"));
    cr_expect_not_null(strstr(msgd_error(NULL), "systemctl start msgd"));
    cr_expect_null(msgd_close(m));
}

Test(client_lost, a_path_too_long_for_a_socket_is_an_error)
{
    char path[200];
    struct msgd *m;

    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    cr_expect_eq(msgd_open(&m, path), -ENAMETOOLONG);
    cr_expect_eq(msgd_open(&m, ""), -ENOENT);
}

Test(client_lost, finds_the_users_own_msgd_and_says_so_when_it_is_dead)
{
    struct fake f;
    struct msgd *m;
    char place[128];

    fake_start(&f, NULL, 0);
    unsetenv("MSGD_SOCKET");
    setenv("XDG_RUNTIME_DIR", f.directory, 1);
    snprintf(place, sizeof(place), "%s/msgd", f.directory);
    cr_assert_eq(mkdir(place, 0700), 0);
    snprintf(place, sizeof(place), "%s/msgd/msgd.sock", f.directory);
    cr_assert_eq(rename(f.path, place), 0);
    cr_assert_eq(msgd_open(&m, NULL), 0, "%s", msgd_error(NULL));
    cr_expect_str_eq(msgd_socket(m), place);
    m = msgd_close(m);
    close(f.listener);
    cr_expect_eq(msgd_open(&m, NULL), -ECONNREFUSED);
    cr_expect_not_null(strstr(msgd_error(NULL), place), "%s", msgd_error(NULL));
    setenv("MSGD_SOCKET", "/nonexistent/socket", 1);
    cr_expect_eq(msgd_open(&m, NULL), -ENOENT);
    cr_expect_not_null(strstr(msgd_error(NULL), "/nonexistent/socket"));
    unlink(place);
    snprintf(place, sizeof(place), "%s/msgd", f.directory);
    rmdir(place);
    fake_stop(&f);
}

Test(client_lost, looks_for_a_millisecond_at_most)
{
    struct fake f;
    struct msgd *m;

    fake_start(&f, NULL, 0);
    cr_assert_eq(msgd_open(&m, f.path), 0, "%s", msgd_error(NULL));
    cr_expect_eq(msgd_set_poll_us(m, 0), 0);
    cr_expect_eq(msgd_set_poll_us(m, 1000), 0);
    cr_expect_eq(msgd_set_poll_us(m, 1001), -EINVAL);
    cr_expect_not_null(strstr(msgd_error(m), "1000 us"), "%s", msgd_error(m));
    m = msgd_close(m);
    fake_stop(&f);
}

struct bad_reply {
    const char *name;
    struct fake_step step;
    int error;
};

Test(client_lost, a_reply_that_cannot_be_ends_the_call_with_an_error)
{
    static const struct bad_reply table[] = {
        {"hang-up", {.act = FAKE_HANG_UP}, -ECONNRESET},
        {"half a reply", {.act = FAKE_HALF, .reply = "{\"parameters\":{\"a\":1}}"}, -ECONNRESET},
        {"not JSON", {.reply = "hello"}, -EPROTO},
        {"an empty frame", {.reply = ""}, -EPROTO},
        {"not an object", {.reply = "[]"}, -EPROTO},
        {"parameters that are none", {.reply = "{\"parameters\":7}"}, -EPROTO},
        {"one of many", {.reply = "{\"parameters\":{},\"continues\":true}"}, -EPROTO},
        {"an error that nobody knows", {.reply = "{\"error\":\"org.example.Odd\"}"}, -EREMOTEIO},
    };

    for (size_t i = 0; i < N(table); i++) {
        struct client c;
        char *reply = NULL;
        client_open(&c, &table[i].step, 1);
        cr_expect_eq(msgd_call(c.m, "io.msgd.GetInfo", NULL, &reply), table[i].error, "%s: %s",
                     table[i].name, msgd_error(c.m));
        cr_expect_null(reply);
        cr_expect_gt(strlen(msgd_error(c.m)), 20);
        client_close(&c);
    }
}

Test(client_lost, the_call_after_a_hang_up_reconnects)
{
    struct client c;
    static const struct fake_step steps[] = {
        {.act = FAKE_HANG_UP},
        {.expect = "GetInfo", .reply = "{\"parameters\":{\"pid\":1}}"},
        {.act = FAKE_CLOSE},
        {.expect = "Resolve",
         .reply = "{\"error\":\"io.msgd.NoSuchEndpoint\",\"parameters\":"
                  "{\"name\":\"a\"}}"},
    };
    struct msgd_address address;
    char *reply = NULL;

    client_open(&c, steps, N(steps));
    cr_expect_eq(msgd_call(c.m, "io.msgd.GetInfo", "{}", NULL), -ECONNRESET);
    cr_expect_eq(msgd_call(c.m, "io.msgd.GetInfo", "{}", &reply), 0, "%s", msgd_error(c.m));
    cr_expect_str_eq(reply, "{\"pid\":1}");
    free(reply);
    usleep(20000);
    cr_expect_eq(msgd_resolve(c.m, "a", &address), -ENOENT);
    cr_expect_str_eq(msgd_error_name(c.m), "io.msgd.NoSuchEndpoint");
    cr_expect_str_eq(msgd_error_parameters(c.m), "{\"name\":\"a\"}");
    client_close(&c);
}

Test(client_lost, parameters_that_are_no_object_are_refused_before_anything_is_sent)
{
    struct client c;
    static const char *const table[] = {"", "[]", "{", "{}{}", "7", "{\"a\":}"};

    client_open(&c, NULL, 0);
    for (size_t i = 0; i < N(table); i++)
        cr_expect_eq(msgd_call(c.m, "io.msgd.List", table[i], NULL), -EINVAL, "%s", table[i]);
    client_close(&c);
}

struct bad_attach {
    const char *name;
    const char *reply;
    int n_descriptors;
    int error;
};

Test(client_lost, an_attach_without_the_memory_it_promises_fails)
{
#define LINK(arena, wake)                                               \
    "{\"parameters\":{\"slot\":0,\"lane\":0,\"link\":{\"arena\":" arena \
    ",\"page\":1,\"outgoing\":2,\"wake\":" wake ",\"doorbell\":4}}}"
    static const struct bad_attach table[] = {
        {"fewer descriptors", LINK("0", "3"), 3, -EPROTO},
        {"an index past the end", LINK("0", "9"), 5, -EPROTO},
        {"a negative index", LINK("-1", "3"), 5, -EPROTO},
        {"an index that is text", LINK("\"0\"", "3"), 5, -EPROTO},
        {"a memory that is none", LINK("3", "0"), 5, -EPROTO},
        {"too small a memory", LINK("1", "3"), 5, -EPROTO},
        {"no link at first", "{\"parameters\":{\"slot\":0,\"lane\":0,\"link\":null}}", 5, -EPROTO},
        {"no slot", "{\"parameters\":{\"lane\":0}}", 5, -EPROTO},
        {"a slot that cannot be", "{\"parameters\":{\"slot\":99999999999,\"lane\":0}}", 5, -EPROTO},
    };

    for (size_t i = 0; i < N(table); i++) {
        struct client c;
        const struct fake_step steps[] = {
            FAKE_INFO("x"),
            FAKE_REGISTERED,
            {.expect = "Attach",
             .act = FAKE_LINK,
             .lane = &c.lane,
             .reply = table[i].reply,
             .n_descriptors = table[i].n_descriptors},
        };
        client_open(&c, steps, N(steps));
        cr_expect_eq(msgd_register(c.m, &thermo, NULL), table[i].error, "%s: %s", table[i].name,
                     msgd_error(c.m));
        client_close(&c);
    }
}

Test(client_lost, a_layout_of_another_version_is_refused)
{
    struct client c;
    const struct fake_step steps[] = {FAKE_INFO("x"), FAKE_REGISTERED, FAKE_ATTACHED(&c.lane)};

    client_open(&c, steps, N(steps));
    c.lane.header->version++;
    cr_expect_eq(msgd_register(c.m, &thermo, NULL), -EPROTO);
    cr_expect_not_null(strstr(msgd_error(c.m), "version"));
    client_close(&c);
}

Test(client_lost, a_hang_up_at_any_point_of_registering_is_an_error)
{
    for (size_t point = 0; point < 3; point++) {
        struct client c;
        struct fake_step steps[] = {FAKE_INFO("x"), FAKE_REGISTERED, FAKE_ATTACHED(&c.lane)};
        steps[point].act = point % 2 == 0 ? FAKE_HANG_UP : FAKE_HALF;
        client_open(&c, steps, point + 1);
        cr_expect_eq(msgd_register(c.m, &thermo, NULL), -ECONNRESET, "%zu: %s", point,
                     msgd_error(c.m));
        cr_expect_eq(msgd_registered(c.m, "thermo", &(struct msgd_endpoint){0}), -ENOENT);
        client_close(&c);
    }
}

Test(client_lost, an_endpoint_that_cannot_be_attached_to_is_given_back)
{
    struct client c;
    static const struct fake_step steps[] = {
        FAKE_INFO("x"),
        FAKE_REGISTERED,
        {.expect = "Attach",
         .reply = "{\"error\":\"io.msgd.TryAgain\",\"parameters\":{\"reason\":\"no memory\"}}"},
        {.expect = "Release", .reply = "{\"parameters\":{}}"},
    };

    client_open(&c, steps, N(steps));
    cr_expect_eq(msgd_register(c.m, &thermo, NULL), -EAGAIN);
    cr_expect_not_null(strstr(msgd_error(c.m), "no memory"));
    client_close(&c);
}

Test(client_lost, of_many_names_the_refused_one_is_told_and_the_others_are_ours)
{
    struct client c;
    static const struct msgd_registration three[] = {
        {.name = "a"}, {.name = "b"}, {.name = "thermo"}};
    const struct fake_step steps[] = {
        FAKE_INFO("x"),
        FAKE_REGISTERED,
        {.expect = "\"name\":\"b\"",
         .reply = "{\"error\":\"io.msgd.NameTaken\",\"parameters\":{\"name\":\"b\",\"pid\":9,"
                  "\"uid\":0,\"since\":\"then\"}}"},
        FAKE_REGISTERED,
        FAKE_ATTACHED(&c.lane),
        {.expect = "Attach", .reply = "{\"parameters\":{\"slot\":4,\"lane\":0,\"link\":null}}"},
    };
    struct msgd_endpoint endpoint;

    client_open(&c, steps, N(steps));
    cr_expect_eq(msgd_register_many(c.m, three, 3), -EEXIST);
    cr_expect_not_null(strstr(msgd_error(c.m), "\"b\" is held by pid 9"), "%s", msgd_error(c.m));
    cr_expect_eq(msgd_registered(c.m, "a", &endpoint), 0);
    cr_expect_eq(msgd_registered(c.m, "b", &endpoint), -ENOENT);
    cr_expect_eq(msgd_registered(c.m, "thermo", &endpoint), 0);
    client_close(&c);
}

Test(client_lost, what_cannot_be_registered_is_refused_without_asking)
{
    struct client c;
    static const struct msgd_registration twice[] = {{.name = "a"}, {.name = "a"}};
    static const char *const names[] = {NULL, "", "A", "-a", "a b", "\n"};

    client_open(&c, NULL, 0);
    cr_expect_eq(msgd_register_many(c.m, twice, 2), -EINVAL);
    for (size_t i = 0; i < N(names); i++)
        cr_expect_eq(msgd_register(c.m, &(struct msgd_registration){.name = names[i]}, NULL),
                     -EINVAL);
    cr_expect_eq(msgd_attach(c.m, "A", NULL), -EINVAL);
    cr_expect_eq(msgd_register_many(c.m, NULL, 0), 0);
    cr_expect_eq(msgd_receive(c.m, &(struct msgd_message){0}, 1, 0), -ENOTCONN);
    cr_expect_eq(msgd_receive(c.m, NULL, 0, 0), -EINVAL);
    client_close(&c);
}

Test(client_lost, registering_what_is_ours_again_only_changes_its_fields)
{
    struct client c;
    const struct fake_step steps[] = {
        FAKE_INFO("x"),
        FAKE_REGISTERED,
        FAKE_ATTACHED(&c.lane),
        {.expect = "drop-old",
         .reply = "{\"parameters\":{\"address\":\"127.0.0.1\",\"port\":7000,\"generation\":2}}"},
        {.expect = "Attach",
         .reply = "{\"error\":\"io.msgd.AlreadyAttached\",\"parameters\":{\"name\":\"thermo\"}}"},
    };
    struct msgd_registration changed = thermo;
    struct msgd_endpoint endpoint;

    client_open(&c, steps, N(steps));
    cr_assert_eq(msgd_register(c.m, &thermo, NULL), 0);
    changed.when_full = MSGD_DROP_OLD;
    cr_expect_eq(msgd_register(c.m, &changed, &endpoint), 0, "%s", msgd_error(c.m));
    cr_expect_eq(endpoint.generation, 2);
    client_close(&c);
}

/* ---- Waiting ---- */

Test(client_lost, the_descriptor_is_readable_when_a_message_comes_and_not_before)
{
    struct client c;
    const struct fake_step steps[] = {FAKE_INFO("x"), FAKE_REGISTERED, FAKE_ATTACHED(&c.lane)};
    struct msgd_message messages[4];

    client_open(&c, steps, N(steps));
    cr_assert_eq(msgd_register(c.m, &thermo, NULL), 0);
    struct pollfd p = {.fd = msgd_fd(c.m), .events = POLLIN};
    for (int round = 0; round < 3; round++) {
        cr_expect_eq(msgd_receive(c.m, messages, 4, 0), 0);
        cr_expect_eq(poll(&p, 1, 0), 0);
        fake_publish(&c.lane, 3, "1");
        cr_expect_eq(poll(&p, 1, 1000), 1);
        fake_publish(&c.lane, 3, "2");
        cr_expect_eq(msgd_receive(c.m, messages, 4, 0), 2);
        expect_text(&messages[1], "2");
        msgd_release(c.m, &messages[1]);
    }
    client_close(&c);
}

Test(client_lost, a_message_of_an_endpoint_that_nobody_attached_is_an_error)
{
    struct client c;
    const struct fake_step steps[] = {FAKE_INFO("x"), FAKE_REGISTERED, FAKE_ATTACHED(&c.lane)};
    struct msgd_message messages[4];

    client_open(&c, steps, N(steps));
    cr_assert_eq(msgd_register(c.m, &thermo, NULL), 0);
    fake_publish(&c.lane, 3, "mine");
    fake_publish(&c.lane, 17, "whose?");
    cr_expect_eq(msgd_receive(c.m, messages, 4, 0), 1);
    cr_expect_eq(msgd_receive(c.m, messages, 4, 0), -EPROTO);
    expect_text(&messages[0], "mine");
    client_close(&c);
}

/* ---- Streams ---- */

static int count_two(void *context, const char *reply)
{
    int *n = context;

    cr_expect_str_eq(reply, "{}");
    return ++*n == 2 ? 42 : 0;
}

Test(client_lost, a_stream_that_falls_silent_times_out_and_keeps_the_connection)
{
    struct client c;
    static const struct fake_step steps[] = {
        {.expect = "\"more\":true", .reply = "{\"continues\":true}"},
    };
    int n = 0;

    client_open(&c, steps, N(steps));
    cr_expect_eq(msgd_call_more(c.m, "io.msgd.Tap", NULL, 100, count_two, &n), -ETIMEDOUT);
    cr_expect_eq(n, 1);
    cr_expect_eq(msgd_call(c.m, "io.msgd.GetInfo", NULL, NULL), -EBUSY);
    client_close(&c);
}

Test(client_lost, a_stream_that_ends_leaves_the_connection_in_order)
{
    struct client c;
    static const struct fake_step steps[] = {
        {.expect = "\"more\":true", .reply = "{}"},
        {.expect = "GetInfo", .reply = "{}"},
        {.expect = "\"more\":true", .reply = "{\"error\":\"io.msgd.NoSuchEndpoint\"}"},
        {.expect = "\"more\":true", .act = FAKE_HANG_UP},
    };
    int n = 0;

    client_open(&c, steps, N(steps));
    cr_expect_eq(msgd_call_more(c.m, "io.msgd.Tap", NULL, -1, count_two, &n), 0);
    cr_expect_eq(msgd_call(c.m, "io.msgd.GetInfo", NULL, NULL), 0);
    cr_expect_eq(msgd_call_more(c.m, "io.msgd.Tap", NULL, -1, count_two, &n), -ENOENT);
    cr_expect_eq(msgd_call_more(c.m, "io.msgd.Tap", NULL, -1, count_two, &n), -ECONNRESET);
    cr_expect_eq(n, 1);
    client_close(&c);
}
