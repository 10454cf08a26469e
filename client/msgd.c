/* SPDX-License-Identifier: MIT */
/* Opening and closing: which control socket, and what a struct msgd starts with. */
#include "client/client.h"
#include "client/reconnect.h"
#include "proto/json_input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM_SOCKET "/run/msgd/msgd.sock"
/* The longest path that a Unix socket can have is 107 bytes. */
#define MAX_PATH 256
/* A wake-up takes some ten microseconds: what comes sooner than a few of them is worth waiting for.
 */
#define POLL_US 50

/* Of this thread's last msgd_open; its parameters are never set, so that nothing is to be freed. */
static _Thread_local struct failure open_failure;

__attribute__((constructor)) static void guard(void)
{
    json_input_guard_library();
}

/* ---- Which socket ---- */

static int try_path(struct msgd *m, const char *path)
{
    int error = connection_open(&m->connection, path, true);

    if (error == 0) {
        m->path = strdup(path);
        if (m->path == NULL)
            error = -ENOMEM;
    }
    return error;
}

/* Only its owner can have put a socket there. In /tmp anybody could have made the directory. */
static bool is_private_directory(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == getuid() &&
           (status.st_mode & 077) == 0;
}

#define PLACE_MAX (MAX_PATH + 16)

/* Where a user's own msgd listens; place: what was tried last. -ENOENT: nowhere. */
static int try_users_places(struct msgd *m, char place[PLACE_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char directory[MAX_PATH];

    place[0] = '\0';
    if (runtime != NULL && runtime[0] != '\0') {
        snprintf(place, PLACE_MAX, "%.*s/msgd/msgd.sock", MAX_PATH - 1, runtime);
        return try_path(m, place);
    }
    if (getuid() == 0)
        return -ENOENT;
    snprintf(place, PLACE_MAX, "/run/user/%u/msgd/msgd.sock", (unsigned)getuid());
    int error = try_path(m, place);
    snprintf(directory, sizeof(directory), "/tmp/msgd-%u", (unsigned)getuid());
    if (error != 0 && is_private_directory(directory)) {
        snprintf(place, PLACE_MAX, "%s/msgd.sock", directory);
        error = try_path(m, place);
    }
    return error;
}

/* The user's own msgd, else the system's. */
static int try_usual_places(struct msgd *m)
{
    char place[PLACE_MAX];
    int own = try_users_places(m, place);

    if (own == 0)
        return 0;
    int error = try_path(m, SYSTEM_SOCKET);
    if (error == 0)
        return 0;
    /* Of two that do not answer, the one that is there at all is the one that is meant. */
    if (error == -ENOENT && own != -ENOENT)
        return failure_unreachable(&open_failure, place, own);
    return failure_unreachable(&open_failure, SYSTEM_SOCKET, error);
}

/* Sets m->path and connects. */
static int connect_somewhere(struct msgd *m, const char *path)
{
    const char *variable = getenv("MSGD_SOCKET");

    if (path == NULL && variable != NULL && variable[0] != '\0')
        path = variable;
    if (path == NULL)
        return try_usual_places(m);
    int error = try_path(m, path);
    return error == 0 ? 0 : failure_unreachable(&open_failure, path, error);
}

/* ---- Life ---- */

/* The timer's events say that an attempt is due, or that something is to be looked at again. */
static int watch_timer(struct msgd *m)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = m->timer};

    return epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->timer, &event) == 0 ? 0 : -errno;
}

static int open_descriptors(struct msgd *m)
{
    m->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (m->epoll < 0)
        return -errno;
    m->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (m->timer < 0)
        return -errno;
    int error = watch_timer(m);
    return error == 0 ? reconnect_adopt(m) : error;
}

static uint32_t seed(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint32_t)now.tv_nsec ^ (uint32_t)getpid() << 16) | 1;
}

int msgd_open(struct msgd **out, const char *socket_path)
{
    struct msgd *m = calloc(1, sizeof(*m));

    *out = NULL;
    failure_deinit(&open_failure);
    if (m == NULL)
        return failure_set(&open_failure, -ENOMEM, "no memory for a connection to msgd");
    m->epoll = m->timer = -1;
    busy_wait_init(&m->busy_wait, POLL_US * UINT64_C(1000));
    m->jitter = seed();
    connection_init(&m->connection);
    int error = connect_somewhere(m, socket_path);
    if (error == 0) {
        error = open_descriptors(m);
        if (error != 0)
            failure_set(&open_failure, error, "cannot wait for msgd at %s: %s", m->path,
                        strerror(-error));
    }
    if (error != 0) {
        msgd_close(m);
        return error;
    }
    *out = m;
    return 0;
}

struct msgd *msgd_close(struct msgd *m)
{
    if (m == NULL)
        return NULL;
    enrolment_cancel(&m->enrolment, &m->registrations);
    inbox_deinit(&m->inbox);
    connection_close(&m->connection);
    registrations_deinit(&m->registrations);
    failure_deinit(&m->failure);
    if (m->timer >= 0)
        close(m->timer);
    if (m->epoll >= 0)
        close(m->epoll);
    free(m->path);
    free(m);
    return NULL;
}

/* ---- What failed ---- */

const char *msgd_error(const struct msgd *m)
{
    const struct failure *f = m != NULL ? &m->failure : &open_failure;

    return f->sentence[0] != '\0' ? f->sentence : "nothing has failed";
}

const char *msgd_error_name(const struct msgd *m)
{
    return m != NULL ? m->failure.name : "";
}

const char *msgd_error_parameters(const struct msgd *m)
{
    return m != NULL && m->failure.parameters != NULL ? m->failure.parameters : "{}";
}

const char *msgd_socket(const struct msgd *m)
{
    return m->path;
}
