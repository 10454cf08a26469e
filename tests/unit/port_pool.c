/* SPDX-License-Identifier: MIT */
/* Ports for sessions. */
#include "daemon/core/port_pool.h"

#include <criterion/criterion.h>

static struct port_pool pool;

static uint16_t take(void)
{
    uint32_t n_tried = 0;
    uint16_t port = port_pool_candidate(&pool, &n_tried);

    if (port != 0)
        port_pool_take(&pool, port);
    return port;
}

Test(port_pool, gives_each_port_of_the_range_once)
{
    bool seen[3] = {false};

    port_pool_set(&pool, (struct port_span){65533, 65535}, 12345);
    for (int i = 0; i < 3; i++) {
        uint16_t port = take();

        cr_assert(port >= 65533);
        cr_assert_not(seen[port - 65533]);
        seen[port - 65533] = true;
    }
    cr_assert_eq(take(), 0);
}

Test(port_pool, goes_round_at_the_last_port_there_is)
{
    port_pool_set(&pool, (struct port_span){65534, 65535}, 1);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(take(), i % 2 ? 65534 : 65535);
        port_pool_give(&pool, i % 2 ? 65534 : 65535);
    }
}

Test(port_pool, a_port_that_cannot_be_bound_is_passed_over)
{
    uint32_t n_tried = 0;

    port_pool_set(&pool, (struct port_span){100, 102}, 0);
    cr_assert_eq(port_pool_candidate(&pool, &n_tried), 100);
    cr_assert_eq(port_pool_candidate(&pool, &n_tried), 101);
    cr_assert_eq(port_pool_candidate(&pool, &n_tried), 102);
    cr_assert_eq(port_pool_candidate(&pool, &n_tried), 0);
}

Test(port_pool, another_range_keeps_what_is_taken)
{
    port_pool_set(&pool, (struct port_span){100, 101}, 0);
    cr_assert_eq(take(), 100);
    port_pool_set(&pool, (struct port_span){100, 100}, 0);
    cr_assert_eq(take(), 0);
    port_pool_give(&pool, 100);
    cr_assert_eq(take(), 100);
    port_pool_give(&pool, 100);
    port_pool_give(&pool, 100);
    cr_assert_eq(take(), 100);
}
