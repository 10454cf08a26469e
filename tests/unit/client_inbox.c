/* SPDX-License-Identifier: MIT */
/* Handing out and releasing over several lanes, and over links of before a restart. */
#include "client/inbox.h"
#include "client_fake.h"

#include <errno.h>

#define N_LANES 3

struct lanes {
    struct inbox inbox;
    struct fake_lane lanes[N_LANES];
    struct registration registration;
};

static void add_lane(struct lanes *l, uint32_t lane)
{
    const struct link_place place = {.lane = lane,
                                     .arena = LANE_ARENA,
                                     .page = LANE_PAGE,
                                     .outgoing = LANE_OUTGOING,
                                     .wake = LANE_WAKE,
                                     .doorbell = LANE_DOORBELL};
    struct descriptor_set set = {.n = LANE_DESCRIPTORS};
    struct link *link;

    for (int i = 0; i < LANE_DESCRIPTORS; i++)
        set.fds[i] = dup(l->lanes[lane].fds[i]);
    cr_assert_eq(link_open(&link, &place, &set), 0);
    descriptor_set_close(&set);
    cr_assert_eq(inbox_add_link(&l->inbox, link), 0);
}

static void lanes_init(struct lanes *l)
{
    *l = (struct lanes){.registration = {.name = (char *)(uintptr_t) "a"}};
    for (uint32_t i = 0; i < N_LANES; i++) {
        fake_lane_init(&l->lanes[i]);
        add_lane(l, i);
        cr_assert_eq(link_set_slot(inbox_link_of_lane(&l->inbox, i), i, &l->registration), 0);
    }
}

static void lanes_deinit(struct lanes *l)
{
    inbox_deinit(&l->inbox);
    for (int i = 0; i < N_LANES; i++)
        fake_lane_deinit(&l->lanes[i]);
}

/* Messages of one byte: how many of them a lane has released. */
static size_t released(const struct lanes *l, int lane)
{
    return (size_t)(atomic_load(&l->lanes[lane].page->released) / record_bytes(1));
}

static void expect_released(const struct lanes *l, size_t a, size_t b, size_t c)
{
    cr_expect_eq(released(l, 0), a, "lane 0: %zu", released(l, 0));
    cr_expect_eq(released(l, 1), b, "lane 1: %zu", released(l, 1));
    cr_expect_eq(released(l, 2), c, "lane 2: %zu", released(l, 2));
}

Test(client_inbox, an_empty_one_has_nothing_and_releases_nothing)
{
    struct inbox inbox = {0};
    struct msgd_message message = {.internal = {1, 0, 64}};

    cr_expect_eq(inbox_take(&inbox, &message, 1), 0);
    inbox_release(&inbox, &message);
    cr_expect(inbox_prepare_wait(&inbox));
    inbox_deinit(&inbox);
}

Test(client_inbox, releasing_the_last_releases_what_every_lane_handed_out_before)
{
    struct lanes l;
    struct msgd_message messages[16];

    lanes_init(&l);
    for (uint32_t lane = 0; lane < N_LANES; lane++)
        for (int i = 0; i < 2; i++)
            fake_publish(&l.lanes[lane], lane, "x");
    cr_assert_eq(inbox_take(&l.inbox, messages, 16), 6);
    inbox_release(&l.inbox, &messages[5]);
    expect_released(&l, 2, 2, 2);
    lanes_deinit(&l);
}

Test(client_inbox, releasing_one_in_the_middle_leaves_those_handed_out_after_it)
{
    struct lanes l;
    struct msgd_message messages[16];

    lanes_init(&l);
    for (uint32_t lane = 0; lane < N_LANES; lane++)
        for (int i = 0; i < 2; i++)
            fake_publish(&l.lanes[lane], lane, "x");
    cr_assert_eq(inbox_take(&l.inbox, messages, 16), 6);
    inbox_release(&l.inbox, &messages[2]);
    expect_released(&l, 2, 1, 0);
    inbox_release(&l.inbox, &messages[0]);
    expect_released(&l, 2, 1, 0);
    inbox_release(&l.inbox, &messages[3]);
    expect_released(&l, 2, 2, 0);
    inbox_release(&l.inbox, &messages[5]);
    expect_released(&l, 2, 2, 2);
    lanes_deinit(&l);
}

Test(client_inbox, a_batch_released_late_releases_the_batches_before_it)
{
    struct lanes l;
    struct msgd_message messages[64];
    size_t n = 0;

    lanes_init(&l);
    for (int round = 0; round < 10; round++) {
        for (uint32_t lane = 0; lane < N_LANES; lane++)
            fake_publish(&l.lanes[lane], lane, "x");
        int rc = inbox_take(&l.inbox, messages + n, 64 - n);
        cr_assert_eq(rc, 3);
        n += 3;
    }
    inbox_release(&l.inbox, &messages[14]);
    expect_released(&l, 5, 5, 5);
    inbox_release(&l.inbox, &messages[29]);
    expect_released(&l, 10, 10, 10);
    cr_expect_eq(l.inbox.n_runs, 0);
    lanes_deinit(&l);
}

Test(client_inbox, lanes_take_turns)
{
    struct lanes l;
    struct msgd_message message;
    int seen[N_LANES] = {0};

    lanes_init(&l);
    for (uint32_t lane = 0; lane < N_LANES; lane++)
        for (int i = 0; i < 5; i++)
            fake_publish(&l.lanes[lane], lane, "x");
    for (int i = 0; i < 9; i++) {
        uint64_t position;
        cr_assert_eq(inbox_take(&l.inbox, &message, 1), 1);
        seen[inbox_link_of(&l.inbox, &message, &position)->lane]++;
    }
    for (int i = 0; i < N_LANES; i++)
        cr_expect_eq(seen[i], 3);
    lanes_deinit(&l);
}

Test(client_inbox, what_an_ended_link_handed_out_stays_readable_until_it_is_released)
{
    struct lanes l;
    struct msgd_message old[4], new[4];

    lanes_init(&l);
    fake_publish(&l.lanes[0], 0, "old");
    fake_publish(&l.lanes[1], 1, "older");
    cr_assert_eq(inbox_take(&l.inbox, old, 4), 2);
    inbox_end_links(&l.inbox);
    cr_expect_eq(l.inbox.n_links, 2);
    cr_expect_eq(inbox_take(&l.inbox, new, 4), 0);
    add_lane(&l, 2);
    cr_assert_eq(link_set_slot(inbox_link_of_lane(&l.inbox, 2), 2, &l.registration), 0);
    fake_publish(&l.lanes[2], 2, "new");
    cr_assert_eq(inbox_take(&l.inbox, new, 4), 1);
    cr_expect_eq(memcmp(old[0].data, "old", 3), 0);
    uint64_t position;
    cr_expect_null(inbox_link_of(&l.inbox, &old[0], &position));
    cr_expect_not_null(inbox_link_of(&l.inbox, &new[0], &position));
    inbox_release(&l.inbox, &old[0]);
    cr_expect_eq(l.inbox.n_links, 2);
    inbox_release(&l.inbox, &new[0]);
    cr_expect_eq(l.inbox.n_links, 1);
    inbox_release(&l.inbox, &old[1]);
    cr_expect_null(inbox_link_of(&l.inbox, &new[0], &position));
    lanes_deinit(&l);
}

Test(client_inbox, a_message_whose_slot_is_not_known_yet_waits_for_it)
{
    struct lanes l;
    struct msgd_message messages[4];

    lanes_init(&l);
    fake_publish(&l.lanes[0], 0, "1");
    fake_publish(&l.lanes[0], 40, "2");
    fake_publish(&l.lanes[0], 0, "3");
    cr_expect_eq(inbox_take(&l.inbox, messages, 4), 1);
    cr_expect(inbox_is_stuck(&l.inbox));
    cr_expect_eq(inbox_take(&l.inbox, messages, 4), 0);
    cr_assert_eq(link_set_slot(inbox_link_of_lane(&l.inbox, 0), 40, &l.registration), 0);
    cr_assert_eq(inbox_take(&l.inbox, messages, 4), 2);
    cr_expect_eq(*(const char *)messages[0].data, '2');
    cr_expect_eq(*(const char *)messages[1].data, '3');
    cr_expect(!inbox_is_stuck(&l.inbox));
    lanes_deinit(&l);
}

Test(client_inbox, each_lane_numbers_its_own_slots)
{
    struct registration other = {.name = (char *)(uintptr_t) "b"};
    struct msgd_message messages[4];
    struct lanes l;

    lanes_init(&l);
    cr_assert_eq(link_set_slot(inbox_link_of_lane(&l.inbox, 1), 0, &other), 0);
    fake_publish(&l.lanes[0], 0, "x");
    fake_publish(&l.lanes[1], 0, "y");
    cr_assert_eq(inbox_take(&l.inbox, messages, 4), 2);
    cr_expect_str_eq(messages[0].name, "a");
    cr_expect_str_eq(messages[1].name, "b");
    cr_expect_eq(link_set_slot(inbox_link_of_lane(&l.inbox, 1), UINT64_C(1) << 40, &other),
                 -EPROTO);
    lanes_deinit(&l);
}

Test(client_inbox, an_ended_lane_is_not_claimed_from)
{
    struct lanes l;
    struct msgd_message messages[4];

    lanes_init(&l);
    fake_publish(&l.lanes[0], 0, "x");
    atomic_store(&l.lanes[0].header->state, RING_ENDED);
    cr_expect_eq(inbox_take(&l.inbox, messages, 4), 0);
    cr_expect(inbox_has_ended(&l.inbox));
    lanes_deinit(&l);
}

Test(client_inbox, a_lock_that_nobody_gives_back_is_no_reason_to_hang)
{
    struct lanes l;
    struct msgd_message messages[4];

    lanes_init(&l);
    fake_publish(&l.lanes[0], 0, "x");
    atomic_store(&l.lanes[0].page->taken, RING_LOCK);
    cr_expect_eq(inbox_take(&l.inbox, messages, 4), -EAGAIN);
    fake_publish(&l.lanes[1], 1, "y");
    cr_expect_eq(inbox_take(&l.inbox, messages, 4), 1);
    lanes_deinit(&l);
}

Test(client_inbox, fills_in_everything_that_the_record_says)
{
    struct lanes l;
    struct msgd_message m;

    lanes_init(&l);
    l.registration.generation = 12;
    fake_publish(&l.lanes[0], 0, "hello");
    struct record *r = (void *)((uint8_t *)l.lanes[0].header + FAKE_CHUNKS_OFFSET);
    r->time_ns = -5;
    r->to_port = 65535;
    r->from_ip[10] = r->from_ip[11] = 0;
    r->from_ip[0] = 0xfe;
    r->from_ip[1] = 0x80;
    r->scope = 9;
    atomic_store(&r->word, record_word_returned(record_word(RECORD_MESSAGE, 5, 0)));
    cr_assert_eq(inbox_take(&l.inbox, &m, 1), 1);
    cr_expect_str_eq(m.name, "a");
    cr_expect_eq(m.length, 5);
    cr_expect_eq(memcmp(m.data, "hello", 5), 0);
    cr_expect_eq(m.seq, 1);
    cr_expect_eq(m.time_ns, -5);
    cr_expect_eq(m.from.port, 4000);
    cr_expect_eq(m.from.scope, 9);
    cr_expect_eq(m.to.port, 65535);
    cr_expect_eq(m.to.scope, 0);
    cr_expect_eq(m.is_redelivered, 1);
    cr_expect_eq(m.deliveries, 2);
    cr_expect_eq(m.generation, 12);
    lanes_deinit(&l);
}

Test(client_inbox, says_what_kind_of_message_it_is_and_its_id)
{
    static const struct {
        const char *trailer;
        enum msgd_type type;
        const char *id;
    } rows[] = {{"", MSGD_PLAIN, ""},
                {"s ", MSGD_SEND, ""},
                {"s 0123456789abcdef.7", MSGD_SEND, "0123456789abcdef.7"},
                {"\xf3 once", MSGD_SEND, "once"},
                {"r x", MSGD_REQUEST, "x"},
                {"y x", MSGD_REPLY, "x"}};
    struct msgd_message m;
    struct lanes l;

    lanes_init(&l);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_publish_framed(&l.lanes[0], 0, "hello", rows[i].trailer);
        cr_assert_eq(inbox_take(&l.inbox, &m, 1), 1);
        cr_expect_eq(m.type, rows[i].type, "%s", rows[i].trailer);
        cr_expect_eq(m.length, 5);
        cr_expect_eq(m.id_length, strlen(rows[i].id));
        cr_expect_eq(memcmp(m.id, rows[i].id, m.id_length), 0);
    }
    lanes_deinit(&l);
}

Test(client_inbox, tells_msgd_of_a_release_that_somebody_waits_for)
{
    struct msgd_message m;
    struct lanes l;
    uint64_t rings;

    lanes_init(&l);
    fake_publish(&l.lanes[0], 0, "1");
    fake_publish(&l.lanes[0], 0, "2");
    cr_assert_eq(inbox_take(&l.inbox, &m, 1), 1);
    inbox_release(&l.inbox, &m);
    cr_expect_eq(read(l.lanes[0].fds[LANE_DOORBELL], &rings, sizeof(rings)), -1);
    atomic_store(&l.lanes[0].header->release_wanted, 1);
    cr_assert_eq(inbox_take(&l.inbox, &m, 1), 1);
    inbox_release(&l.inbox, &m);
    cr_expect_eq(read(l.lanes[0].fds[LANE_DOORBELL], &rings, sizeof(rings)), sizeof(rings));
    lanes_deinit(&l);
}
