/* SPDX-License-Identifier: MIT */
/* A doubly linked list whose links lie in its members. */
#ifndef MSGD_DAEMON_BASE_LIST_H
#define MSGD_DAEMON_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Both the list's head and the link in a member. A link that was zeroed is in no list. */
struct list {
    struct list *next;
    struct list *previous;
};

/* The member of type `type` whose link `field` is at `link`. */
#define list_member(link, type, field) ((type *)(void *)((char *)(link)-offsetof(type, field)))

/* Every link in the list; the one at hand may be removed inside. */
#define list_for_each(at, next_one, of)                                  \
    for (struct list *at = (of)->next, *next_one = at->next; at != (of); \
         at = next_one, next_one = at->next)

static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline bool list_is_linked(const struct list *link)
{
    return link->next != NULL;
}

static inline void list_append(struct list *list, struct list *link)
{
    link->next = list;
    link->previous = list->previous;
    list->previous->next = link;
    list->previous = link;
}

/* Does nothing for a link that is in a list already. */
static inline void list_join(struct list *list, struct list *link)
{
    if (!list_is_linked(link))
        list_append(list, link);
}

/* Does nothing for a link that is in no list. */
static inline void list_remove(struct list *link)
{
    if (!list_is_linked(link))
        return;
    link->next->previous = link->previous;
    link->previous->next = link->next;
    link->next = link->previous = NULL;
}

#endif
