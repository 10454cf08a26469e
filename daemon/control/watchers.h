/* SPDX-License-Identifier: MIT */
/* List calls that want to know of changes. */
#ifndef MSGD_DAEMON_CONTROL_WATCHERS_H
#define MSGD_DAEMON_CONTROL_WATCHERS_H

struct control;

/* A name is gone. */
void watchers_note_removed(struct control *control, const char *name);
/* Tells those who can be told now. For control only. */
void watchers_run(struct control *control);

#endif
