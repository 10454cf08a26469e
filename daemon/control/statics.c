/* SPDX-License-Identifier: MIT */
/* The endpoints of the configuration. */
#include "daemon/control/statics.h"

#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/holders.h"
#include "daemon/control/keeping.h"
#include "daemon/control/restore.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <string.h>

/* Whose it is for quotas and in lists: its one user, or else msgd's own. */
static uid_t uid_of(const struct control *control, const struct principals *owners)
{
    return owners->n_uids == 1 ? owners->uids[0] : control->config.policy.daemon_uid;
}

static const struct config_endpoint *find_configured(const struct control *control,
                                                     const char *name)
{
    for (size_t i = 0; i < control->config.n_endpoints; i++)
        if (strcmp(control->config.endpoints[i].settings.name, name) == 0)
            return &control->config.endpoints[i];
    return NULL;
}

static int insert(struct control *control, const struct config_endpoint *e, struct entry **out)
{
    struct owner owner = {.uid = uid_of(control, &e->owners)};
    struct settings settings = {0};
    struct principals owners = {0};
    int r = settings_copy(&e->settings, &settings);

    if (r == 0)
        r = principals_copy(&e->owners, &owners);
    if (r == 0)
        r = registry_insert(control->registry, &settings, &owners, owner, control_wall_ns(), out);
    if (r < 0) {
        settings_deinit(&settings);
        principals_deinit(&owners);
    }
    return r;
}

static int make_desk(struct control *control, const struct config_endpoint *e,
                     struct account *account, struct desk **out)
{
    struct entry *entry;
    int r = insert(control, e, &entry);

    if (r < 0)
        return r;
    r = desk_new(out, control, entry, uid_of(control, &e->owners), account);
    if (r < 0)
        registry_remove(control->registry, entry);
    return r;
}

/* Where its settings say; with port 0 where it was before msgd was started again. */
static const struct address *place_of(const struct desk *desk, struct address *where)
{
    const struct entry *entry = desk->entry;
    struct address any_port = entry->address;

    *where = entry->settings.address;
    any_port.port = 0;
    if (address_equal(where, &any_port))
        where->port = entry->address.port;
    return where;
}

static void add(struct control *control, const struct config_endpoint *e)
{
    struct address where;
    uid_t uid = uid_of(control, &e->owners);
    struct quota_refusal refusal;
    struct account *account;
    struct desk *desk;
    int r = quota_take_endpoint(control->quota, uid, &account, &refusal);

    if (r == QUOTA_EXCEEDED) {
        log_error("%s: %s is not opened: %s of uid %u is used up (%llu)", e->file, e->settings.name,
                  refusal.quota, uid, (unsigned long long)refusal.limit);
        return;
    }
    if (r == 0) {
        r = make_desk(control, e, account, &desk);
        if (r < 0)
            quota_give_endpoint(control->quota, uid);
    }
    if (r < 0) {
        log_error("%s: %s is not opened: no memory", e->file, e->settings.name);
        return;
    }
    restore_static(desk);
    desk_open_or_wait(desk, place_of(desk, &where));
}

/* ---- Changing ---- */

static int move(struct desk *desk, const struct config_endpoint *e)
{
    struct settings settings;
    int r = settings_copy(&e->settings, &settings);

    if (r == 0 && desk->entry->endpoint) {
        r = desk_leave(desk, NULL);
        if (r < 0)
            settings_deinit(&settings);
    }
    if (r < 0)
        return r;
    registry_configure(desk->control->registry, desk->entry, &settings);
    desk_open_or_wait(desk, &desk->entry->settings.address);
    return 0;
}

static int change_settings(struct desk *desk, const struct config_endpoint *e, uint32_t changes)
{
    struct desk_change change = {.settings = &e->settings, .changes = changes};
    struct open_failure why;

    if (changes & PLACE_FIELDS)
        return move(desk, e);
    return changes ? desk_reconfigure(desk, &change, &why) : 0;
}

/* Those who may no longer own it are its consumers no more. */
static void end_strangers(struct desk *desk)
{
    const struct ending ending = {.error = "io.msgd.NoSuchEndpoint",
                                  .reason = "is not for its user any more"};
    const struct policy *policy = &desk->control->config.policy;

    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);

        if (policy_may_own(policy, &holder->connection->peer.who, desk->entry->owner.uid,
                           entry_owners(desk->entry)))
            continue;
        holder_end(holder, &ending);
        next = desk->holders.next;
    }
}

static int change_owners(struct desk *desk, const struct config_endpoint *e)
{
    struct control *control = desk->control;
    struct principals owners;
    int r = principals_copy(&e->owners, &owners);

    if (r < 0)
        return r;
    registry_set_static(control->registry, desk->entry, &owners, uid_of(control, &e->owners),
                        control_now_ms());
    keeping_save(desk);
    desk_changed(desk);
    end_strangers(desk);
    return 0;
}

static bool update(struct desk *desk, const struct config_endpoint *e)
{
    const struct entry *entry = desk->entry;
    uint32_t changes = settings_difference(&entry->settings, &e->settings);
    bool has_new_owners = !entry->is_static || !principals_equal(&entry->owners, &e->owners);
    int r = 0;

    if (changes == 0 && !has_new_owners)
        return false;
    if (has_new_owners)
        r = change_owners(desk, e);
    if (r == 0)
        r = change_settings(desk, e, changes);
    if (r < 0)
        log_error("%s: %s stays as it was: %s", e->file, desk->name, strerrordesc_np(-r));
    return r == 0;
}

/* ---- All of them ---- */

static void remove_absent(struct control *control, struct static_changes *changes)
{
    struct entry *next;

    for (struct entry *e = registry_first(control->registry); e; e = next) {
        next = registry_next(control->registry, e);
        if (!e->is_static || find_configured(control, e->settings.name))
            continue;
        if (desk_remove(desk_of(e), DROP_RELEASED, NULL) < 0)
            log_error("%s stays registered: no memory", e->settings.name);
        else
            changes->n_removed++;
    }
}

void statics_apply(struct control *control, struct static_changes *changes)
{
    *changes = (struct static_changes){0};
    remove_absent(control, changes);
    for (size_t i = 0; i < control->config.n_endpoints; i++) {
        const struct config_endpoint *e = &control->config.endpoints[i];
        struct entry *entry = registry_find(control->registry, e->settings.name);

        if (!entry) {
            add(control, e);
            changes->n_added++;
        } else if (update(desk_of(entry), e)) {
            changes->n_changed++;
        }
    }
}
