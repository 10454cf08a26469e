/* SPDX-License-Identifier: MIT */
/* What libmsgd makes of a msgd that ends and is there again. */
#include "client_lost_fixture.h"

#include <errno.h>

static void publish_later(void *context)
{
    usleep(20000);
    fake_publish(context, 3, "after");
}

Test(client_restarts, registers_again_after_a_restart_and_goes_on)
{
    struct client c;
    struct fake_lane before, after;
    const struct fake_step steps[] = {
        FAKE_INFO("before"),
        FAKE_REGISTERED,
        FAKE_ATTACHED(&before),
        {.act = FAKE_VANISH},
        FAKE_INFO("after"),
        {.expect = "\"port\":7000",
         .reply = "{\"parameters\":{\"name\":\"thermo\",\"address\":\"127.0.0.1\",\"port\":7000,"
                  "\"generation\":2,\"resumed\":false,\"receive_buffer_granted\":1}}"},
        {.expect = "Attach",
         .act = FAKE_LINK,
         .lane = &after,
         .reply = "{\"parameters\":{\"slot\":3,\"generation\":2,\"lane\":0,\"link\":{\"lane\":0,"
                  "\"arena\":0,\"page\":1,\"outgoing\":2,\"wake\":3,\"doorbell\":4}}}"},
        {.act = FAKE_HOOK, .hook = publish_later, .context = &after},
    };
    struct msgd_message old[1], new[1];

    fake_lane_init(&before);
    fake_lane_init(&after);
    fake_publish(&before, 3, "before");
    client_open(&c, steps, N(steps));
    cr_assert_eq(msgd_register(c.m, &(struct msgd_registration){.name = "thermo"}, NULL), 0, "%s",
                 msgd_error(c.m));
    cr_assert_eq(msgd_receive(c.m, old, 1, 5000), 1, "%s", msgd_error(c.m));
    cr_expect_eq(old[0].generation, 1);
    cr_assert_eq(msgd_receive(c.m, new, 1, 5000), 1, "%s", msgd_error(c.m));
    expect_text(&old[0], "before");
    expect_text(&new[0], "after");
    cr_expect_eq(new[0].generation, 2);
    cr_expect_eq(msgd_reply(c.m, &old[0], "x", 1), -ESTALE);
    cr_expect_eq(msgd_reply(c.m, &new[0], "x", 1), 0);
    msgd_release(c.m, &old[0]);
    cr_expect_eq(atomic_load(&after.page->released), 0);
    msgd_release(c.m, &new[0]);
    cr_expect_eq(atomic_load(&after.page->released), record_bytes(5));
    msgd_release(c.m, &old[0]);
    cr_expect_eq(msgd_reply(c.m, &new[0], "x", 1), -ESTALE);
    client_close(&c);
    fake_lane_deinit(&before);
    fake_lane_deinit(&after);
}

Test(client_restarts, what_is_refused_after_a_restart_is_the_error_of_receive)
{
    struct client c;
    const struct fake_step steps[] = {
        FAKE_INFO("before"),
        FAKE_REGISTERED,
        FAKE_ATTACHED(&c.lane),
        {.act = FAKE_VANISH},
        FAKE_INFO("after"),
        {.expect = "Register",
         .reply = "{\"error\":\"io.msgd.PortTaken\",\"parameters\":{\"address\":\"127.0.0.1\","
                  "\"port\":7000,\"name\":null,\"uid\":12}}"},
    };
    struct msgd_message message[1];

    client_open(&c, steps, N(steps));
    cr_assert_eq(msgd_register(c.m, &thermo, NULL), 0);
    cr_expect_eq(msgd_receive(c.m, message, 1, 5000), -EADDRINUSE);
    cr_expect_not_null(strstr(msgd_error(c.m), "127.0.0.1:7000"), "%s", msgd_error(c.m));
    cr_expect_eq(msgd_receive(c.m, message, 1, 5000), -ENOTCONN);
    client_close(&c);
}

Test(client_restarts, gives_up_waiting_for_a_restart_when_the_time_is_over)
{
    struct client c;
    const struct fake_step steps[] = {
        FAKE_INFO("x"), FAKE_REGISTERED, FAKE_ATTACHED(&c.lane), {.act = FAKE_CLOSE}};
    struct msgd_message message[1];

    client_open(&c, steps, N(steps));
    cr_assert_eq(msgd_register(c.m, &thermo, NULL), 0);
    fake_stop(&c.f);
    cr_expect_eq(msgd_receive(c.m, message, 1, 0), 0);
    cr_expect_eq(msgd_receive(c.m, message, 1, 100), 0);
    cr_expect_not_null(strstr(msgd_error(c.m), "cannot reach msgd"));
    c.m = msgd_close(c.m);
    fake_lane_deinit(&c.lane);
}

static void end_lane(void *context)
{
    struct fake_lane *lane = context;

    atomic_store(&lane->header->state, RING_ENDED);
}

Test(client_restarts, does_not_fight_the_msgd_that_has_detached_it)
{
    struct client c;
    const struct fake_step steps[] = {
        FAKE_INFO("same"),
        FAKE_REGISTERED,
        FAKE_ATTACHED(&c.lane),
        {.act = FAKE_CLOSE},
        FAKE_INFO("same"),
        {.expect = "Resolve", .reply = "{\"parameters\":{\"name\":\"thermo\"}}"},
    };
    struct msgd_message message[1];

    client_open(&c, steps, N(steps));
    cr_assert_eq(msgd_register(c.m, &thermo, NULL), 0);
    cr_expect_eq(msgd_receive(c.m, message, 1, 5000), -EPIPE, "%s", msgd_error(c.m));
    cr_expect_not_null(strstr(msgd_error(c.m), "thermo"), "%s", msgd_error(c.m));
    fake_stop(&c.f);
    cr_expect_eq(msgd_receive(c.m, message, 1, 0), -EPIPE);
    c.m = msgd_close(c.m);
    fake_lane_deinit(&c.lane);
}

Test(client_restarts, an_ended_link_of_a_msgd_that_is_another_now_is_a_restart)
{
    struct client c;
    const struct fake_step steps[] = {
        FAKE_INFO("before"),    FAKE_REGISTERED,
        FAKE_ATTACHED(&c.lane), {.act = FAKE_HOOK, .hook = end_lane, .context = &c.lane},
        {.act = FAKE_VANISH},   FAKE_INFO("after"),
        FAKE_REGISTERED,        FAKE_ATTACHED(&c.lane),
    };
    struct msgd_message message[1];

    client_open(&c, steps, N(steps));
    cr_assert_eq(msgd_register(c.m, &thermo, NULL), 0);
    while (c.f.n_done < 4)
        usleep(1000);
    cr_expect_eq(msgd_receive(c.m, message, 1, 300), 0, "%s", msgd_error(c.m));
    client_close(&c);
}
