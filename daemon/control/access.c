/* SPDX-License-Identifier: MIT */
/* Who may do what to which endpoint. */
#include "daemon/control/access.h"

#include "daemon/control/call.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/params.h"
#include "daemon/control/state.h"

#include <stdio.h>

bool access_is_administrator(const struct call *call)
{
    return policy_is_administrator(&call->control->config.policy, &call->connection->peer.who);
}

bool access_may_own(const struct call *call, const struct entry *entry)
{
    return policy_may_own(&call->control->config.policy, &call->connection->peer.who,
                          entry->owner.uid, entry_owners(entry));
}

struct desk *access_owned(struct call *call, const char *name)
{
    struct entry *entry = registry_find(call->control->registry, name);
    char rule[160];

    if (!entry) {
        call_no_such_endpoint(call, name);
        return NULL;
    }
    if (access_may_own(call, entry))
        return desk_of(entry);
    if (entry_is_static(entry))
        snprintf(rule, sizeof(rule),
                 "%s is for the users and groups that the configuration names, and administrators",
                 name);
    else
        snprintf(rule, sizeof(rule), "%s is for uid %u, which registered it, and administrators",
                 name, entry->owner.uid);
    call_not_permitted(call, rule);
    return NULL;
}

struct desk *access_owned_by_name(struct call *call)
{
    const char *name;
    const struct param params[] = {{"name", PARAM_STRING, true, &name}};

    return PARAMS_PARSE(call, params) ? access_owned(call, name) : NULL;
}

bool access_administrate(struct call *call, const char *act)
{
    char rule[160];

    if (access_is_administrator(call))
        return true;
    snprintf(rule, sizeof(rule), "to %s is for administrators: root, and members of the group msgd",
             act);
    call_not_permitted(call, rule);
    return false;
}
