/* SPDX-License-Identifier: MIT */
/* The control socket as a file: made where it is safe, and never taken from a msgd that lives. */
#ifndef MSGD_DAEMON_CONTROL_CONTROL_SOCKET_H
#define MSGD_DAEMON_CONTROL_CONTROL_SOCKET_H

#include "daemon/base/error.h"
#include "daemon/base/inherited.h"

#include <stdbool.h>
#include <sys/types.h>

struct control_socket {
    int fd;
    char *path; /* NULL: not ours to remove */
    dev_t device;
    ino_t inode;
};

enum control_socket_outcome {
    SOCKET_IS_ALIVE = 1, /* somebody answers there; it has been logged who */
};

/*
 * Listens at `path`, mode 0666. A directory that is not there is made, 0755 for root, else 0700.
 * is_private: the directory has to be the caller's alone and no symbolic link. A file that nobody
 * listens at any more is replaced. 0, SOCKET_IS_ALIVE, or -errno, logged with what to do.
 */
int control_socket_listen(struct control_socket *out, const char *path, bool is_private) MUST_USE;

/*
 * The one that systemd passed (msgd.socket) among what is inherited: 1; 0: there is none; or
 * -errno. Everything else that is left there is closed. *path: where it is, malloc'ed, in the place
 * of what was there (freed).
 */
int control_socket_inherit(struct control_socket *out, struct inherited *inherited,
                           char **path) MUST_USE;

/*
 * The one that a predecessor served: takes fd, also on failure. owns_file: its file is ours to
 * remove. *path as above. 0 or -errno.
 */
int control_socket_adopt(struct control_socket *out, int fd, bool owns_file, char **path) MUST_USE;

/* Whoever took fd serves on: the file is not removed by control_socket_remove. */
void control_socket_disown(struct control_socket *socket);

/* Removes the file if it is still the one that was made. fd is not closed: whoever took it does
 * that. */
void control_socket_remove(struct control_socket *socket);

#endif
