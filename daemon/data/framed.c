/* SPDX-License-Identifier: MIT */
/* Framed datagrams. Nothing here allocates, logs or blocks. */
#include "daemon/data/framed.h"

#include "daemon/data/answers.h"
#include "daemon/data/sessions.h"
#include "daemon/data/spooling.h"
#include "proto/frame.h"
#include "proto/json_text.h"

#include <string.h>
#include <time.h>

uint64_t boot_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One message of a framed datagram. */
struct framed {
    struct endpoint *endpoint;
    const struct arrival *arrival;
    const struct frame *frame;
    struct frame_id id; /* text.n 0: none */
    enum message_type type;
    size_t share;    /* bytes of the datagram that fall to it: its answers may be so long */
    bool is_allowed; /* the endpoint takes what comes from there */
    int refused;     /* MESSAGE_KEPT; or why one before it in the datagram was refused */
};

/* ---- Answers ---- */

static bool wants_answer(const struct arrival *a, const struct frame *f)
{
    if (a->is_kept || !(f->members & FRAME_HAS_ID))
        return false;
    return f->type == FRAME_REQUEST || (f->type != FRAME_REPLY && (f->members & FRAME_HAS_WISH));
}

static struct answer_cause cause_of(const struct framed *m)
{
    return (struct answer_cause){
        .endpoint = m->endpoint, .meta = &m->arrival->meta, .id = &m->id, .allowance = m->share};
}

static void acknowledge(const struct framed *m, enum frame_wish which)
{
    struct answer_cause cause = cause_of(m);

    if (wants_answer(m->arrival, m->frame))
        answer_ack(&cause, which);
}

static void refuse(const struct framed *m, enum drop_reason reason)
{
    struct answer_cause cause = cause_of(m);

    if (wants_answer(m->arrival, m->frame))
        answer_nack(&cause, reason);
}

/* Does the sender wait to hear what becomes of it? */
static bool is_awaited(const struct framed *m)
{
    return wants_answer(m->arrival, m->frame) &&
           (m->type == MESSAGE_REQUEST || m->frame->wish == FRAME_RELEASED);
}

/* ---- One message ---- */

static int judge(const struct framed *m, const struct frame_slice *text)
{
    if (!m->is_allowed)
        return DROP_NOT_ALLOWED;
    if (text->n > m->endpoint->settings.max_message_bytes)
        return DROP_TOO_LARGE;
    return json_text_is_valid_padded(text->bytes, text->n) ? MESSAGE_KEPT : DROP_INVALID_JSON;
}

/* Is it to be on disk before anybody is told that it is kept? */
static bool is_for_disk(const struct framed *m)
{
    const struct spool *spool = m->endpoint->mailbox.spool;

    return spool != NULL && spool->is_durable;
}

static int file(const struct framed *m, const struct frame_slice *text)
{
    struct endpoint *e = m->endpoint;
    uint8_t trailer[RECORD_TRAILER_MAX];
    struct message_tag tag = {.type = m->type,
                              .is_awaited = is_awaited(m),
                              .wants_disk = is_for_disk(m) && m->type == MESSAGE_SEND &&
                                            m->frame->wish == FRAME_STORED &&
                                            wants_answer(m->arrival, m->frame),
                              .allowance = m->share,
                              .n_id = (uint32_t)m->id.text.n,
                              .id = (const char *)m->id.text.bytes};
    struct filing filing = {.meta = &m->arrival->meta,
                            .kind = RECORD_MESSAGE,
                            .content = {.payload = text->bytes,
                                        .n_payload = (uint32_t)text->n,
                                        .trailer = trailer,
                                        .n_trailer = message_tag_write(&tag, trailer)}};

    return intake_file(e, &filing);
}

/* It has been kept before: says again what was said then. */
static void answer_again(const struct framed *m, enum duplicate state)
{
    struct endpoint *e = m->endpoint;
    struct message_key key = {.endpoint = e->number, .id = &m->id};
    uint32_t n;
    const void *reply =
        m->type == MESSAGE_REQUEST ? reply_cache_find(&e->worker->reply_cache, &key, &n) : NULL;

    if (reply != NULL && !m->arrival->is_kept)
        endpoint_reply_again(e, &m->arrival->meta, reply, n);
    else if (m->type == MESSAGE_SEND && m->frame->wish == FRAME_STORED)
        acknowledge(m, FRAME_STORED);
    else
        acknowledge(m, state == DUPLICATE_RELEASED ? FRAME_RELEASED : FRAME_STORED);
}

/* MESSAGE_KEPT, or why its sender cannot be promised that it will be on disk. */
static int promise(const struct framed *m, const struct frame_slice *text)
{
    uint32_t bytes = record_bytes((uint32_t)text->n + RECORD_TRAILER_MAX);

    if (!is_for_disk(m) || !wants_answer(m->arrival, m->frame))
        return MESSAGE_KEPT;
    return spool_refusal(&m->endpoint->mailbox, bytes);
}

/* It is here, but not on disk yet. */
static int is_on_its_way(const struct framed *m)
{
    if (spooling_refusal(m->endpoint) == DROP_SPOOL_FAILED)
        refuse(m, DROP_SPOOL_FAILED);
    else
        acknowledge(m, FRAME_RECEIVED);
    return DROP_DUPLICATE;
}

/* Files one of which nothing is wrong, once. */
static int keep(const struct framed *m, const struct frame_slice *text)
{
    struct duplicates *d = &m->endpoint->worker->duplicates;
    struct message_key key = {.endpoint = m->endpoint->number, .id = &m->id};
    bool is_once = m->id.text.n > 0 && m->type != MESSAGE_REPLY;
    uint64_t now_ms = is_once ? boot_clock_ms() : 0;
    enum duplicate state = is_once ? duplicates_look(d, &key, now_ms) : DUPLICATE_NOT;

    if (state == DUPLICATE_KEPT || state == DUPLICATE_RELEASED) {
        answer_again(m, state);
        return DROP_DUPLICATE;
    }
    if (state == DUPLICATE_PENDING)
        return is_on_its_way(m);
    int outcome = m->refused != MESSAGE_KEPT   ? m->refused
                  : state == DUPLICATE_NO_ROOM ? (int)DROP_SOURCES_FULL
                                               : promise(m, text);
    if (outcome == MESSAGE_KEPT)
        outcome = file(m, text);
    if (outcome != MESSAGE_KEPT) {
        refuse(m, (enum drop_reason)outcome);
        return outcome;
    }
    if (is_once && is_for_disk(m))
        duplicates_pend(d, &key, now_ms);
    else if (is_once)
        duplicates_keep(d, &key, now_ms);
    if (m->type == MESSAGE_SEND && m->frame->wish == FRAME_STORED && !is_for_disk(m))
        acknowledge(m, FRAME_STORED);
    return MESSAGE_KEPT;
}

static int take_message(const struct framed *m, const struct frame_slice *text)
{
    int outcome = judge(m, text);

    if (outcome != MESSAGE_KEPT)
        refuse(m, (enum drop_reason)outcome);
    else
        outcome = keep(m, text);
    if (outcome == MESSAGE_KEPT)
        return outcome;
    /* What goes to the quarantine is the message. */
    struct arrival a = {.bytes = text->bytes, .n_bytes = text->n, .is_kept = m->arrival->is_kept};
    memcpy(&a.meta, &m->arrival->meta, sizeof(a.meta));
    return intake_count(m->endpoint, &a, outcome);
}

/* Does what befell one message of a datagram befall those behind it? */
static bool is_for_all(int outcome)
{
    return outcome != DROP_TOO_LARGE && outcome != DROP_INVALID_JSON && outcome != DROP_DUPLICATE;
}

/* ---- Batches ---- */

/* LF ends a text (RFC 7464, section 2.2). False: there is none left. */
static bool next_text(const struct frame_slice *body, size_t *at, struct frame_slice *text)
{
    if (!frame_batch_next(body, at, text))
        return false;
    if (text->n > 0 && text->bytes[text->n - 1] == '\n')
        text->n--;
    return true;
}

/* How many messages; 0: the body is no batch. */
static size_t count_texts(const struct frame_slice *body)
{
    struct frame_slice text;
    size_t n = 0;

    if (body->n == 0 || *body->bytes != FRAME_START)
        return 0;
    for (size_t at = 0; next_text(body, &at, &text);)
        n++;
    return n;
}

uint64_t framed_messages(const struct arrival *a)
{
    struct frame f;

    if (frame_parse(a->bytes, a->n_bytes, &f) != 0 || f.type != FRAME_BATCH)
        return 1;
    size_t n = count_texts(&f.body);
    return n > 0 ? n : 1;
}

/* The id of the i-th message. */
static void number_message(struct framed *m, size_t i, char text[FRAME_ID_MAX])
{
    const struct frame_id *first = &m->frame->id;

    if (!(m->frame->members & FRAME_HAS_ID))
        return;
    m->id = *first;
    m->id.number = first->number + i;
    m->id.text = (struct frame_slice){(const uint8_t *)text,
                                      frame_id_print(first->source, m->id.number, text)};
}

/* A datagram that is refused as a whole. */
static int refuse_datagram(const struct framed *m, enum drop_reason reason)
{
    if (!m->is_allowed)
        reason = DROP_NOT_ALLOWED;
    refuse(m, reason);
    return intake_count(m->endpoint, m->arrival, (int)reason);
}

static int take_batch(struct framed *m)
{
    size_t n = count_texts(&m->frame->body), i = 0;
    struct frame_slice text;
    char id_text[FRAME_ID_MAX];
    int outcome = MESSAGE_KEPT;

    if (n == 0)
        return refuse_datagram(m, DROP_INVALID_JSON);
    sources_count(&m->endpoint->sources, m->arrival->meta.from_ip, n - 1);
    m->share = m->arrival->n_bytes / n;
    for (size_t at = 0; next_text(&m->frame->body, &at, &text); i++) {
        if (i < m->arrival->n_done)
            continue;
        m->endpoint->ledger->received += i > 0;
        DURABLE_STEP();
        number_message(m, i, id_text);
        int each = take_message(m, &text);
        /* What comes behind one that found no room must not overtake it. */
        if (each >= 0 && is_for_all(each))
            m->refused = each;
        if (outcome == MESSAGE_KEPT)
            outcome = each;
    }
    return outcome;
}

/* ---- Others ---- */

static void answer_ping(struct endpoint *e, const struct arrival *a, const struct frame *f)
{
    struct frame pong = {
        .type = FRAME_PONG, .members = f->members & FRAME_HAS_TOKEN, .token = f->token};

    if (!a->is_kept)
        answer_frame(e, &a->meta, &pong, a->n_bytes);
}

/* What ends in no mailbox. */
static int take_protocol(struct endpoint *e, const struct arrival *a, const struct frame *f)
{
    bool has_session = (f->members & FRAME_HAS_SESSION) != 0;

    e->ledger->protocol++;
    if (e->is_removed)
        return MESSAGE_KEPT;
    switch (f->type) {
    case FRAME_PING:
    case FRAME_PONG:
        if (has_session)
            sessions_receive(e, a, f);
        else if (f->type == FRAME_PING)
            answer_ping(e, a, f);
        break;
    case FRAME_CONNECT:
    case FRAME_DATA:
    case FRAME_CLOSE:
        sessions_receive(e, a, f);
        break;
    default: /* answers are answered by nobody */
        break;
    }
    return MESSAGE_KEPT;
}

int framed_datagram(struct endpoint *e, const struct arrival *a, bool is_allowed)
{
    struct frame f;
    struct framed m = {.endpoint = e,
                       .arrival = a,
                       .frame = &f,
                       .share = a->n_bytes,
                       .is_allowed = is_allowed,
                       .refused = MESSAGE_KEPT};

    e->ledger->received += a->n_done == 0;
    DURABLE_STEP();
    sources_count(&e->sources, a->meta.from_ip, 1);
    if (frame_parse(a->bytes, a->n_bytes, &f) != 0)
        return intake_count(e, a, is_allowed ? DROP_MALFORMED_FRAME : DROP_NOT_ALLOWED);
    m.id = f.members & FRAME_HAS_ID ? f.id : (struct frame_id){0};
    m.type = f.type == FRAME_REQUEST ? MESSAGE_REQUEST
             : f.type == FRAME_REPLY ? MESSAGE_REPLY
                                     : MESSAGE_SEND;
    switch (f.type) {
    case FRAME_SEND:
    case FRAME_REQUEST:
    case FRAME_REPLY:
        return take_message(&m, &f.body);
    case FRAME_BATCH:
        return take_batch(&m);
    case FRAME_OTHER:
        return refuse_datagram(&m, DROP_UNSUPPORTED);
    default:
        return is_allowed ? take_protocol(e, a, &f) : intake_count(e, a, DROP_NOT_ALLOWED);
    }
}
