/* SPDX-License-Identifier: MIT */
/* Short answers that msgd gives by itself. */
#include "daemon/data/answers.h"

void answer_frame(struct endpoint *e, const struct record *meta, const struct frame *f,
                  size_t allowance)
{
    uint8_t bytes[2048];
    size_t n = frame_write(f, bytes, sizeof(bytes));
    struct address from, to;

    record_to(meta, &from);
    record_from(meta, &to);
    if (n == 0 || n > allowance || to.port == 0)
        return;
    (void)!endpoint_send(e, &from, &to, false, bytes, n);
}
