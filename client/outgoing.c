/* SPDX-License-Identifier: MIT */
/* Datagrams from the program: replies through the outgoing ring, sends by a call. */
#include "client/call.h"
#include "client/deadline.h"
#include "proto/frame.h"
#include "proto/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

/* The largest payloads of UDP: 65,535 less the headers of UDP and, for IPv4, of IP. */
#define MAX_PAYLOAD_IPV4 65507u
#define MAX_PAYLOAD_IPV6 65527u

/* How long a reply waits for room in the ring before the program has to. */
#define ROOM_WAIT_MS 20
#define ROOM_LOOK_NS 50000

static size_t max_payload(const struct msgd_address *to)
{
    return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)to->ip) ? MAX_PAYLOAD_IPV4
                                                                               : MAX_PAYLOAD_IPV6;
}

/* Puts a record into the ring, waiting a moment for room. 0, -EAGAIN, -EMSGSIZE. */
static int put(const struct link *link, const struct outgoing_record *header, const void *data)
{
    const struct timespec nap = {.tv_nsec = ROOM_LOOK_NS};
    int64_t deadline = 0;

    for (;;) {
        int rc = ring_outgoing_put(link->outgoing, link->reader.header, header, data);
        if (rc == 1)
            link_ring_doorbell(link);
        if (rc != -EAGAIN)
            return rc < 0 ? rc : 0;
        if (deadline == 0)
            deadline = deadline_after_ms(ROOM_WAIT_MS);
        else if (deadline_now() >= deadline)
            return rc;
        link_ring_doorbell(link);
        nanosleep(&nap, NULL);
    }
}

/* What the reply to a message carries beside its text. */
static size_t reply_header_bytes(const struct msgd_message *message)
{
    uint8_t bytes[256];
    const struct frame f = {
        .type = FRAME_REPLY,
        .members = FRAME_HAS_ID,
        .id = {.text = {(const uint8_t *)message->id, message->id_length}},
    };

    return message->type == MSGD_REQUEST ? frame_write(&f, bytes, sizeof(bytes)) : 0;
}

int msgd_reply(struct msgd *m, const struct msgd_message *message, const void *data, size_t length)
{
    uint64_t position;
    const struct link *link = inbox_link_of(&m->inbox, message, &position);

    if (link == NULL)
        return failure_set(&m->failure, -ESTALE,
                           "cannot reply to message %llu of %s: it is released already, or from "
                           "before a restart of msgd",
                           (unsigned long long)message->seq, message->name);
    if (message->type == MSGD_REPLY)
        return failure_set(&m->failure, -EINVAL,
                           "message %llu of %s is a reply itself, which is not answered",
                           (unsigned long long)message->seq, message->name);
    size_t max = max_payload(&message->from) - reply_header_bytes(message);
    if (length > max)
        return failure_set(&m->failure, -EMSGSIZE,
                           "a reply of %zu bytes is more than a datagram holds (%zu)", length, max);
    const struct outgoing_record header = {
        .length = (uint32_t)length, .kind = OUTGOING_REPLY, .position = position};
    int error = put(link, &header, data);
    if (error != 0)
        return failure_set(&m->failure, error,
                           "msgd has too many replies of this process under way; try again");
    return 0;
}

int msgd_send_from(struct msgd *m, const char *name, const char *to, const void *data,
                   size_t length)
{
    struct varlink_reply reply;

    if (length > MAX_PAYLOAD_IPV6)
        return failure_set(&m->failure, -EMSGSIZE, "%zu bytes are more than a datagram holds (%u)",
                           length, MAX_PAYLOAD_IPV6);
    int error = call_prepare(m);
    if (error != 0)
        return error;
    struct json_writer *w = &m->connection.out;
    varlink_begin_call(w, "io.msgd.Send", false, false);
    json_put_string(w, "name", name);
    json_put_string(w, "to", to);
    if (utf8_is_valid(data, length))
        json_put_string_n(w, "payload", data, length);
    else
        json_put_base64(w, "payload_base64", data, length);
    varlink_end(w);
    error = call_finish(m, "io.msgd.Send", name, &reply);
    if (error == 0)
        varlink_reply_deinit(&reply);
    return error;
}
