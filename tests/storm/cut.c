/* SPDX-License-Identifier: MIT */
/* What a power cut leaves of a disk. */
#include "tests/storm/cut.h"

#include <stdlib.h>

/* ---- Going forward ---- */

void cut_init(struct cut *c, const struct memory_disk *base, const struct memory_record *record)
{
    *c = (struct cut){.record = record};
    for (int name = 0; name < MEMORY_N; name++) {
        const struct memory_file *f = &base->files[name];

        c->names[name] = base->is_there[name] ? base->file_of[name] : CUT_NO_FILE;
        if (base->is_there[name] && f->size > 0)
            memory_file_write(&c->synced[base->file_of[name]], 0, f->bytes, f->size);
    }
}

void cut_deinit(struct cut *c)
{
    for (unsigned i = 0; i < CUT_MAX_FILES; i++)
        free(c->synced[i].bytes);
    free(c->pending);
    *c = (struct cut){0};
}

static bool is_of_directory(const struct memory_op *op)
{
    return op->act == MEMORY_CREATE || op->act == MEMORY_DELETE;
}

static void apply_to_directory(uint32_t names[MEMORY_N], const struct memory_op *op)
{
    names[op->name] = op->act == MEMORY_CREATE ? op->file : CUT_NO_FILE;
}

static void apply_whole(const struct cut *c, struct memory_file *f, const struct memory_op *op)
{
    if (op->act == MEMORY_WRITE)
        memory_file_write(f, op->at, c->record->bytes.bytes + op->bytes, op->n);
    else
        memory_file_truncate(f, op->at);
}

/* What was pending of this file (or, with CUT_NO_FILE, of the directory) is on disk. */
static void settle(struct cut *c, uint32_t file)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < c->n_pending; i++) {
        const struct memory_op *op = &c->record->ops[c->pending[i]];

        if (is_of_directory(op) ? file != CUT_NO_FILE : op->file != file)
            c->pending[n_kept++] = c->pending[i];
        else if (is_of_directory(op))
            apply_to_directory(c->names, op);
        else
            apply_whole(c, &c->synced[op->file], op);
    }
    c->n_pending = n_kept;
}

static void add_pending(struct cut *c, size_t i)
{
    if (c->n_pending == c->pending_capacity) {
        c->pending_capacity = c->pending_capacity == 0 ? 256 : 2 * c->pending_capacity;
        c->pending = reallocarray(c->pending, c->pending_capacity, sizeof(*c->pending));
        if (c->pending == NULL)
            abort();
    }
    c->pending[c->n_pending++] = i;
}

void cut_advance(struct cut *c, size_t n_ops)
{
    for (; c->at < n_ops; c->at++) {
        const struct memory_op *op = &c->record->ops[c->at];

        if (op->act == MEMORY_SYNC)
            settle(c, op->file);
        else if (op->act == MEMORY_SYNC_DIRECTORY)
            settle(c, CUT_NO_FILE);
        else if (op->act != MEMORY_MARK)
            add_pending(c, c->at);
        if (op->file >= CUT_MAX_FILES)
            abort();
    }
}

/* ---- What is left ---- */

/* How a cut goes about it. */
enum manner {
    ALL,     /* as a kill leaves it */
    NOTHING, /* all that was not synced is lost */
    WHOLE,   /* each operation is there or not */
    TORN,    /* each sector is there or not */
    PREFIX,  /* those up to one, which is torn */
    SUFFIX,  /* those from one on, which is torn */
    ONE,     /* all but one, which is torn */
    N_MANNERS,
};

struct plan {
    struct sim_random *random;
    enum manner manner;
    double probability;
    size_t pivot;
};

/* How much of an operation is there: 0, 1, or a probability for each sector. */
static double share_of(const struct plan *p, size_t i)
{
    switch (p->manner) {
    case ALL:
        return 1;
    case WHOLE:
        return sim_chance(p->random, p->probability) ? 1 : 0;
    case TORN:
        return p->probability;
    case PREFIX:
        return i < p->pivot ? 1 : i > p->pivot ? 0 : p->probability;
    case SUFFIX:
        return i > p->pivot ? 1 : i < p->pivot ? 0 : p->probability;
    case ONE:
        return i != p->pivot ? 1 : p->probability;
    default:
        return 0;
    }
}

static void apply_torn(const struct cut *c, const struct plan *p, struct memory_file *f,
                       const struct memory_op *op, double share)
{
    const uint8_t *bytes = c->record->bytes.bytes + op->bytes;
    uint64_t end = op->at + op->n;

    for (uint64_t at = op->at; at < end;) {
        uint64_t next = (at / CUT_SECTOR_BYTES + 1) * CUT_SECTOR_BYTES;

        next = next < end ? next : end;
        if (sim_chance(p->random, share))
            memory_file_write(f, at, bytes + (at - op->at), next - at);
        at = next;
    }
    /* The size may be there without the bytes. */
    if (f->size < end && sim_chance(p->random, 0.3))
        memory_file_truncate(f, end);
}

/* Returns 1 where the operation is not there as it was. */
static size_t apply(const struct cut *c, const struct plan *p, size_t i, struct memory_file *files,
                    uint32_t names[MEMORY_N])
{
    const struct memory_op *op = &c->record->ops[c->pending[i]];
    double share = share_of(p, i);

    if (is_of_directory(op)) {
        if (!sim_chance(p->random, share))
            return 1;
        apply_to_directory(names, op);
        return 0;
    }
    if (share >= 1 || (op->act == MEMORY_TRUNCATE && sim_chance(p->random, share)))
        apply_whole(c, &files[op->file], op);
    else if (op->act == MEMORY_WRITE)
        apply_torn(c, p, &files[op->file], op, share);
    return share < 1;
}

static struct plan make_plan(const struct cut *c, struct sim_random *random)
{
    static const double probabilities[] = {0.05, 0.5, 0.95};

    return (struct plan){.random = random,
                         .manner = (enum manner)sim_below(random, N_MANNERS),
                         .probability = probabilities[sim_below(random, 3)],
                         .pivot = c->n_pending > 0 ? sim_below(random, c->n_pending) : 0};
}

/* Only files that names lead to, or may lead to, are worth their bytes. */
static void copy_synced(const struct cut *c, struct memory_file files[CUT_MAX_FILES])
{
    for (unsigned i = 0; i < CUT_MAX_FILES; i++) {
        files[i] = (struct memory_file){0};
        if (c->synced[i].size > 0)
            memory_file_write(&files[i], 0, c->synced[i].bytes, c->synced[i].size);
    }
}

size_t cut_build(const struct cut *c, struct sim_random *random, struct memory_disk *out)
{
    struct plan plan = make_plan(c, random);
    struct memory_file files[CUT_MAX_FILES];
    uint32_t names[MEMORY_N];
    size_t n_undone = 0;

    copy_synced(c, files);
    for (int name = 0; name < MEMORY_N; name++)
        names[name] = c->names[name];
    for (size_t i = 0; i < c->n_pending; i++)
        n_undone += apply(c, &plan, i, files, names);
    memory_disk_clear(out);
    out->n_files = CUT_MAX_FILES / 2;
    for (int name = 0; name < MEMORY_N; name++) {
        out->is_there[name] = names[name] != CUT_NO_FILE;
        out->file_of[name] = (uint32_t)name;
        if (!out->is_there[name])
            continue;
        out->files[name] = files[names[name]];
        files[names[name]] = (struct memory_file){0};
    }
    for (unsigned i = 0; i < CUT_MAX_FILES; i++)
        free(files[i].bytes);
    return n_undone;
}
