/* SPDX-License-Identifier: MIT */
/*
 * Bits that flip, in the database and in its log. Whatever bit it is: the store does not crash and
 * gives out nothing that nobody wrote, neither messages nor rows; what is lost of each endpoint is
 * what it says is lost of that endpoint (no endpoint's loss hides another's), and what it cannot
 * open or read it says so. Where it is a table but that of messages, or an index, the store opens,
 * tells of all that is left, and goes on to work. In the log one bit is mended; of two in a frame
 * it notices, unless that is of the last commit.
 */
#include "tests/storm/storm.h"
#include "tests/support/memory_vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGES    3000u
#define LONG_BASES  4u    /* disks, */
#define LONG_FLIPS  2500u /* and of each so many bits of each file */
#define FLIPS       200u
#define PAGE_BYTES  16384u
#define FRAME_BYTES (24u + PAGE_BYTES)

static char directory[] = "/tmp/msgd-storm-XXXXXX";
static struct store_options options = {.max_bytes = STORE_MIN_BYTES, .vfs = MEMORY_VFS};
static uint8_t *row;

static struct memory_disk base;     /* as a store leaves it that is killed, */
static struct storm_findings truth; /* and what is on it */

/* What became of the flips. Endpoints are counted one by one. */
struct figures {
    uint64_t n_flips;
    uint64_t n_unopened, n_unloaded, n_unread; /* said so */
    uint64_t n_idle;                           /* something could not be written afterwards */
    uint64_t n_as_said;                        /* something was lost, as much as was said */
    uint64_t n_unsaid;                         /* more was lost than was said, */
    uint64_t n_noticed;                        /* but it was said that the log breaks off */
    uint64_t n_torn;                           /* or the last frame was damaged */
    uint64_t n_too_much;                       /* less was lost than was said */
    uint64_t n_again;                          /* what was released came back */
    uint64_t n_gone;                           /* registrations, as was said, */
    uint64_t n_gone_unsaid;                    /* or not: no row was there that could be counted */
    uint64_t n_older;                          /* what they were before commits that are gone */
    uint64_t n_mended, n_broke_off;
    uint64_t n_unseen; /* no difference */
};

/* ---- The disk ---- */

static void ignore(void *context, enum storm_event event, uint32_t which, uint64_t seq)
{
    (void)context;
    (void)event;
    (void)which;
    (void)seq;
}

/* 0; 1: it did not open; 2: it could not be loaded. */
static int look(struct memory_disk *disk, struct storm_findings *out, struct store_info *info)
{
    struct store_user u = {0};
    int r;

    memory_vfs_use(disk);
    if (store_user_open(&u, &options) < 0)
        return 1;
    r = storm_look(u.store, row, out);
    store_info(u.store, info);
    store_user_close(&u);
    return r < 0 ? 2 : 0;
}

/* Whatever a store may be asked to write. Returns how much of it was not done. */
static unsigned work(struct memory_disk *disk)
{
    struct store_user u = {0};
    uint8_t *bytes = store_user_row();
    size_t n_bytes = store_user_write(bytes, 1, STORM_MAX_SEQ - 9, STORM_MAX_SEQ, 100);
    struct store_job jobs[] = {
        {.act = STORE_APPEND,
         .append = {.endpoint = 1, .bytes = bytes, .n_bytes = n_bytes, .ids = bytes, .n_ids = 16}},
        {.act = STORE_TRIM, .trim = {.endpoint = 1, .up_to = STORM_MAX_SEQ - 1}},
        {.act = STORE_DROP_OLDEST, .drop_oldest = {.endpoint = 2, .older_than_ns = INT64_MAX}},
        {.act = STORE_FORGET, .forget = STORM_ENDPOINTS},
        {.act = STORE_PUT_REGISTRATION,
         .registration = {.number = 1, .name = "storm", .bytes = "1", .n_bytes = 2}},
        {.act = STORE_DELETE_REGISTRATION, .registration = {.number = 2}},
        {.act = STORE_PUT_REJECTED,
         .rejected = {.id = 1u << 20, .name = "storm", .reason = "invalid_json", .bytes = bytes}},
        {.act = STORE_DELETE_REJECTED, .rejected = {.id = 1}}};
    const size_t n = sizeof(jobs) / sizeof(*jobs);
    struct store_job *all[sizeof(jobs) / sizeof(*jobs)];
    unsigned n_undone = 0;

    memory_vfs_use(disk);
    SIM_HOLDS(store_user_open(&u, &options) == 0, "it opened, and does not open again");
    store_user_start(&u);
    for (size_t i = 0; i < n; i++)
        all[i] = &jobs[i];
    store_user_post_all(&u, all, n);
    store_user_wait(&u, 0);
    for (size_t i = 0; i < n; i++)
        n_undone += jobs[i].status < 0;
    store_user_close(&u);
    free(bytes);
    return n_undone;
}

static void make_base(uint64_t seed)
{
    struct memory_disk disk = {0};
    struct storm_work w = {.tell = ignore};
    struct store_info info;

    memory_vfs_use(&disk);
    storm_work_init(&w, seed);
    SIM_HOLDS(store_user_open(&w.user, &options) == 0, "the store does not open");
    store_user_start(&w.user);
    while (w.n_messages < MESSAGES)
        storm_work_batch(&w);
    memory_disk_copy(&base, &disk);
    store_user_close(&w.user);
    storm_work_deinit(&w);
    memory_disk_copy(&disk, &base);
    SIM_HOLDS(look(&disk, &truth, &info) == 0, "without a flip it does not open");
    SIM_HOLDS(info.log_mended == 0 && !info.log_broke_off, "its log is not whole");
    memory_disk_clear(&disk);
}

/* ---- Judging ---- */

static void judge_endpoint(const struct storm_found *was, const struct storm_found *is,
                           uint64_t *unsaid, struct figures *figures, bool *is_seen)
{
    uint64_t n_lost = 0, n_again = 0, n_said = is->n_lost + is->spooled.n_missing;

    SIM_HOLDS(is->n_wrong == 0, "%llu records that nobody wrote", (unsigned long long)is->n_wrong);
    for (unsigned seq = 1; seq <= STORM_MAX_SEQ; seq++) {
        n_lost += was->has[seq] && !is->has[seq];
        n_again += is->has[seq] && !was->has[seq];
    }
    *is_seen |= n_lost > 0 || n_again > 0 || n_said > 0 || is->status < 0;
    figures->n_again += n_again > 0;
    if (is->status < 0)
        figures->n_unread++;
    else if (n_lost != n_said)
        *(n_lost > n_said ? unsaid : &figures->n_too_much) += 1;
    else
        figures->n_as_said += n_lost > 0;
}

/* has_end: commits at the end of the log may be gone. */
static bool judge_registrations(const struct storm_findings *f, const struct store_info *info,
                                bool has_end, struct figures *figures)
{
    bool is_seen = false;

    SIM_HOLDS(f->n_wrong_rows == 0, "%llu rows that nobody wrote",
              (unsigned long long)f->n_wrong_rows);
    for (unsigned i = 1; i <= STORM_REGISTRATIONS; i++) {
        if (f->texts[i] == truth.texts[i])
            continue;
        SIM_HOLDS(f->texts[i] == 0 || has_end, "registration %u was %llu, and is %llu", i,
                  (unsigned long long)truth.texts[i], (unsigned long long)f->texts[i]);
        *(has_end                  ? &figures->n_older
          : info->damaged_rows > 0 ? &figures->n_gone
                                   : &figures->n_gone_unsaid) += 1;
        is_seen = true;
    }
    return is_seen;
}

/* unsaid: where it is counted when an endpoint lost more than was said. */
static void judge(const struct storm_findings *f, const struct store_info *info, uint64_t *unsaid,
                  struct figures *figures)
{
    bool is_seen = judge_registrations(f, info, unsaid != &figures->n_unsaid, figures);

    for (unsigned i = 1; i <= STORM_ENDPOINTS; i++)
        judge_endpoint(&truth.endpoints[i], &f->endpoints[i], unsaid, figures, &is_seen);
    figures->n_unseen += !is_seen;
}

static void flip(struct memory_disk *disk, enum memory_name name, uint64_t bit)
{
    disk->files[name].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* Where is the end of what was committed? */
static uint64_t last_frame(void)
{
    uint64_t at = 32, last = 32, size = base.files[MEMORY_WAL].size;
    const uint8_t *bytes = base.files[MEMORY_WAL].bytes;

    for (; at + FRAME_BYTES <= size && memcmp(bytes + at + 8, bytes + 16, 8) == 0;
         at += FRAME_BYTES)
        last = at;
    return last;
}

static int try_disk(struct memory_disk *disk, bool is_last_frame, struct figures *figures)
{
    static struct storm_findings f;
    struct store_info info = {0};
    int r = look(disk, &f, &info);

    figures->n_flips++;
    figures->n_mended += info.log_mended > 0;
    figures->n_broke_off += info.log_broke_off;
    figures->n_unopened += r == 1;
    figures->n_unloaded += r == 2;
    if (r == 0)
        judge(&f, &info,
              info.log_broke_off ? &figures->n_noticed
              : is_last_frame    ? &figures->n_torn
                                 : &figures->n_unsaid,
              figures);
    return r;
}

static void try_bit(enum memory_name name, uint64_t bit, struct figures *figures)
{
    struct memory_disk disk = {0};

    memory_disk_copy(&disk, &base);
    flip(&disk, name, bit);
    (void)try_disk(&disk, name == MEMORY_WAL && bit / 8 >= last_frame(), figures);
    memory_disk_clear(&disk);
}

static void try_bit_of_table(uint64_t bit, struct figures *figures)
{
    struct memory_disk disk = {0};

    memory_disk_copy(&disk, &base);
    flip(&disk, MEMORY_DATABASE, bit);
    if (try_disk(&disk, false, figures) == 0)
        figures->n_idle += work(&disk) > 0;
    memory_disk_clear(&disk);
}

static void print(const char *what, const struct figures *f)
{
    const struct {
        const char *name;
        uint64_t n;
    } rows[] = {
        {"did not open", f->n_unopened},
        {"could not be loaded", f->n_unloaded},
        {"could not be written", f->n_idle},
        {"endpoints could not be read to their end", f->n_unread},
        {"endpoints lost as much as was said", f->n_as_said},
        {"endpoints lost less than was said", f->n_too_much},
        {"endpoints lost more than was said", f->n_unsaid},
        {"endpoints lost what lay behind the end of a log that broke off", f->n_noticed},
        {"endpoints lost the last commit", f->n_torn},
        {"endpoints got released ones again", f->n_again},
        {"registrations were gone, as was said", f->n_gone},
        {"registrations were gone unsaid", f->n_gone_unsaid},
        {"registrations were older, as a log that broke off", f->n_older},
        {"had their log mended", f->n_mended},
        {"had a log that broke off", f->n_broke_off},
        {"made no difference", f->n_unseen},
    };

    printf("%s: %llu flips", what, (unsigned long long)f->n_flips);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].n > 0)
            printf(", %llu %s", (unsigned long long)rows[i].n, rows[i].name);
    printf("\n");
    fflush(stdout);
}

/* Of so many flips one may make a database that does not open, or is not read to its end. */
static void hold(const struct figures *f)
{
    SIM_HOLDS(f->n_unsaid == 0, "%llu losses nobody was told of", (unsigned long long)f->n_unsaid);
    SIM_HOLDS((f->n_unopened + f->n_unloaded + f->n_unread) * 100 <= f->n_flips,
              "more than one in a hundred was not opened, loaded or read to its end");
}

/* ---- Parts ---- */

static void random_bits(const char *what, enum memory_name name, uint64_t n,
                        struct sim_random *random)
{
    struct figures figures = {0};

    for (uint64_t i = 0; i < n; i++) {
        uint64_t bit = sim_below(random, base.files[name].size * 8);

        sim_begin(what, bit);
        try_bit(name, bit, &figures);
    }
    print(what, &figures);
    hold(&figures);
}

/* Every bit of the log's header and of the headers of its frames, or of every so-many-th. */
static void headers_of_log(unsigned stride)
{
    struct figures figures = {0};
    uint64_t size = base.files[MEMORY_WAL].size;

    for (uint64_t bit = 0; bit < 32 * 8; bit++) {
        sim_begin("header of the log", bit);
        try_bit(MEMORY_WAL, bit, &figures);
    }
    for (uint64_t at = 32; at < size; at += (uint64_t)stride * FRAME_BYTES)
        for (uint64_t bit = at * 8; bit < (at + 24) * 8; bit++) {
            sim_begin("headers of the log", bit);
            try_bit(MEMORY_WAL, bit, &figures);
        }
    print("headers of the log", &figures);
    hold(&figures);
}

/* Two bits of one frame: no mending. */
static void two_bits_of_log(uint64_t n, struct sim_random *random)
{
    struct figures figures = {0};
    uint64_t n_frames = (base.files[MEMORY_WAL].size - 32) / FRAME_BYTES;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t first = (32 + sim_below(random, n_frames) * FRAME_BYTES) * 8;
        struct memory_disk disk = {0};

        sim_begin("two bits of the log", first);
        memory_disk_copy(&disk, &base);
        flip(&disk, MEMORY_WAL, first + sim_below(random, FRAME_BYTES * 4));
        flip(&disk, MEMORY_WAL, first + FRAME_BYTES * 4 + sim_below(random, FRAME_BYTES * 4));
        (void)try_disk(&disk, first / 8 >= last_frame(), &figures);
        memory_disk_clear(&disk);
    }
    print("two bits of a frame", &figures);
    hold(&figures);
    SIM_HOLDS(figures.n_broke_off + figures.n_mended > 0, "nothing was noticed");
}

/* Tables and indexes have their first pages in the order in which they are made. */
static const struct {
    const char *what;
    uint64_t page;
} tables[] = {{"meta", 2},        {"endpoint", 3},      {"chunk_of", 5},
              {"remembered", 6},  {"remembered_of", 7}, {"registration", 8},
              {"quarantine", 9},  {"damaged", 10},      {"index of damaged", 11},
              {"damaged_row", 12}};

/* What is on a page: its header, where its rows begin, and then they themselves, last. */
struct layout {
    uint64_t n_front, rows; /* bytes of the page */
};

static struct layout layout_of(const uint8_t *page)
{
    return (struct layout){.n_front = 8 + 2 * (uint64_t)(page[3] << 8 | page[4]),
                           .rows = (uint64_t)(page[5] << 8 | page[6])};
}

static void hold_table(const struct figures *f)
{
    /* Rows of the index say where a message is, and one that is wrong may lead elsewhere. */
    SIM_HOLDS(f->n_unsaid * 100 <= f->n_flips && f->n_gone_unsaid == 0,
              "losses nobody was told of");
    SIM_HOLDS(f->n_unopened + f->n_unloaded + f->n_unread == 0, "not opened, loaded or read");
    SIM_HOLDS(f->n_idle == 0, "not written");
    SIM_HOLDS(f->n_gone + f->n_again + f->n_unseen > 0, "nothing was judged");
}

/* Every bit of what is on a page, or by chance where there are many. */
static void page_of(const char *what, uint64_t page, uint64_t n, struct sim_random *random)
{
    struct figures figures = {0};
    struct layout l = layout_of(base.files[MEMORY_DATABASE].bytes + page * PAGE_BYTES);
    uint64_t n_bits = 8 * (l.n_front + PAGE_BYTES - l.rows);

    for (uint64_t i = 0; i < n_bits && i < n; i++) {
        uint64_t bit = n_bits <= n || i < 64 ? i : sim_below(random, n_bits);

        if (bit >= 8 * l.n_front)
            bit += 8 * (l.rows - l.n_front);
        sim_begin(what, 8 * page * PAGE_BYTES + bit);
        try_bit_of_table(8 * page * PAGE_BYTES + bit, &figures);
    }
    print(what, &figures);
    hold_table(&figures);
}

/* All is in the database, and nothing in the log. */
static void pages(uint64_t n, struct sim_random *random)
{
    struct storm_findings f;
    struct store_info info;

    SIM_HOLDS(look(&base, &f, &info) == 0, "it does not open");
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        page_of(tables[i].what, tables[i].page - 1, n, random);
}

static void one_base(uint64_t seed, bool is_long)
{
    struct sim_random random = {seed};
    uint64_t n = is_long ? LONG_FLIPS : FLIPS;

    make_base(sim_random(&random));
    printf("disk %llu: database %zu bytes, log %zu bytes\n", (unsigned long long)seed,
           base.files[MEMORY_DATABASE].size, base.files[MEMORY_WAL].size);
    random_bits("database", MEMORY_DATABASE, n, &random);
    random_bits("log", MEMORY_WAL, n, &random);
    headers_of_log(is_long ? 4 : 24);
    two_bits_of_log(n / 10, &random);
    pages(is_long ? 4 * n : n, &random);
    memory_disk_clear(&base);
}

int main(int argc, char **argv)
{
    struct sim_options o;
    unsigned n_bases;

    sim_options_parse(&o, argc, argv);
    n_bases = o.is_long && !o.has_seed ? LONG_BASES : 1;
    if (mkdtemp(directory) == NULL)
        return 1;
    options.directory = directory;
    row = store_user_row();
    for (unsigned i = 0; i < n_bases; i++)
        one_base(o.has_seed ? o.seed : i + 1, o.is_long);
    free(row);
    rmdir(directory);
    return 0;
}
