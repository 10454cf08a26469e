/* SPDX-License-Identifier: MIT */
/* When datagrams came. */
#include "daemon/data/receive_times.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* From so many packets a turn on. */
#define MANY 64u

/* What the kernel has told with it; 0: nothing. */
static int64_t told_ns(struct msghdr *h)
{
    int64_t ns;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
        if (receive_times_told(c, &ns))
            return ns;
    return 0;
}

/* When what has been read last came. */
static int64_t ask(const struct endpoint_socket *s)
{
    struct timespec time;

    if (ioctl(s->source.descriptor, SIOCGSTAMPNS, &time) != 0)
        return wall_clock_ns();
    return receive_times_ns(&time);
}

/* As the kernel would have written it. */
static void tell(struct msghdr *h, int64_t ns)
{
    struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    struct cmsghdr *c = (void *)((uint8_t *)h->msg_control + CMSG_ALIGN(h->msg_controllen));

    c->cmsg_len = CMSG_LEN(sizeof(time));
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_TIMESTAMPNS;
    memcpy(CMSG_DATA(c), &time, sizeof(time));
    DURABLE_STEP();
    h->msg_controllen = CMSG_ALIGN(h->msg_controllen) + CMSG_SPACE(sizeof(time));
}

struct spread receive_times_read(struct endpoint_socket *s, struct mmsghdr *m, size_t n)
{
    int64_t before_ns = s->before_ns;

    s->before_ns = told_ns(&m[n - 1].msg_hdr);
    if (s->before_ns == 0) {
        s->is_last_timed = true; /* perhaps since a predecessor */
        s->before_ns = ask(s);
        tell(&m[n - 1].msg_hdr, s->before_ns);
    }
    return spread_of(before_ns, s->before_ns, (uint32_t)n);
}

struct spread receive_times_found(struct mmsghdr *m, size_t n)
{
    int64_t last_ns = told_ns(&m[n - 1].msg_hdr);

    return spread_of(0, last_ns != 0 ? last_ns : wall_clock_ns(), (uint32_t)n);
}

void receive_times_turn(struct endpoint_socket *s, unsigned n_packets, bool is_empty)
{
    bool is_last_timed = s->endpoint->worker->coalesce.slept_ns != 0 && n_packets >= MANY &&
                         is_empty && s->shard == NULL;
    int is_each_timed = !is_last_timed;

    if (is_last_timed)
        s->before_ns = wall_clock_ns();
    if (is_last_timed != s->is_last_timed &&
        setsockopt(s->source.descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &is_each_timed,
                   sizeof(is_each_timed)) == 0)
        s->is_last_timed = is_last_timed;
}
