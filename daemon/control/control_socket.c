/* SPDX-License-Identifier: MIT */
/* The control socket as a file. */
#include "daemon/control/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BACKLOG 4096

/* ---- The directory ---- */

static int make_directory(const char *path)
{
    if (mkdir(path, getuid() == 0 ? 0755 : 0700) == 0 || errno == EEXIST)
        return 0;
    return error_trace(-errno, "cannot make the directory %s for the control socket", path);
}

static int check_private(int fd, const char *path)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_trace(-errno, "cannot look at %s", path);
    if (st.st_uid == geteuid() && (st.st_mode & 0022) == 0)
        return 0;
    log_error("%s is not safe for the control socket: it belongs to uid %u with mode %04o; remove "
              "it, or choose another path with --socket",
              path, st.st_uid, st.st_mode & 07777);
    return -EPERM;
}

/* A descriptor of the directory, locked while the socket file is being replaced; or -errno. */
static int open_directory(const char *path, bool is_private)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (is_private ? O_NOFOLLOW : 0);
    int fd = open(path, flags);
    int r = 0;

    if (fd < 0)
        return error_trace(-errno, "cannot open the directory %s of the control socket%s", path,
                           errno == ELOOP || errno == ENOTDIR ? ", which must not be a link" : "");
    if (is_private)
        r = check_private(fd, path);
    if (r == 0 && flock(fd, LOCK_EX) < 0)
        r = error_trace(-errno, "cannot lock %s", path);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

static int enter_directory(const char *socket_path, bool is_private)
{
    char *path = strdup(socket_path);
    char *slash = path ? strrchr(path, '/') : NULL;
    int r;

    if (!path)
        return -ENOMEM;
    if (slash && slash != path)
        *slash = '\0';
    r = slash ? make_directory(path) : 0;
    if (r == 0)
        r = open_directory(slash ? path : ".", is_private);
    free(path);
    return r;
}

/* ---- The file ---- */

static int fill_address(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path)) {
        log_error("the path of the control socket is too long (at most %zu bytes): %s",
                  sizeof(address->sun_path) - 1, path);
        return -ENAMETOOLONG;
    }
    memcpy(address->sun_path, path, strlen(path) + 1);
    return 0;
}

static void log_alive(int fd, const char *path)
{
    struct ucred peer = {0};
    socklen_t n = sizeof(peer);

    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n);
    log_error("msgd is already running on %s, pid %d; stop it, or choose another path with "
              "--socket",
              path, peer.pid);
}

/* SOCKET_IS_ALIVE, 0: nobody is there, or -errno. */
static int probe(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r;

    if (fd < 0)
        return error_trace(-errno, "cannot make a socket");
    r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    if (r == 0 || r == -EAGAIN) {
        log_alive(fd, address->sun_path);
        r = SOCKET_IS_ALIVE;
    } else if (r == -ENOENT || r == -ECONNREFUSED) {
        r = 0;
    } else {
        error_trace(r, "cannot see whether msgd is running on %s", address->sun_path);
    }
    close(fd);
    return r;
}

static int remove_stale(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode)) {
        log_error("%s is there and is no socket; remove it, or choose another path with --socket",
                  path);
        return -EEXIST;
    }
    return unlink(path) < 0 ? error_trace(-errno, "cannot remove the stale %s", path) : 0;
}

static int bind_and_listen(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask;
    int r;

    if (fd < 0)
        return error_trace(-errno, "cannot make a socket");
    mask = umask(0111);
    r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    umask(mask);
    if (r == 0 && listen(fd, BACKLOG) < 0)
        r = -errno;
    if (r == 0)
        return fd;
    close(fd);
    return error_trace(r, "cannot listen at %s", address->sun_path);
}

static int note_file(struct control_socket *out, const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return error_trace(-errno, "cannot look at %s", path);
    out->device = st.st_dev;
    out->inode = st.st_ino;
    out->path = strdup(path);
    return out->path ? 0 : -ENOMEM;
}

static int replace(struct control_socket *out, const char *path)
{
    struct sockaddr_un address;
    int r = fill_address(&address, path);

    if (r == 0)
        r = probe(&address);
    if (r == 0)
        r = remove_stale(path);
    if (r != 0)
        return r;
    out->fd = bind_and_listen(&address);
    if (out->fd < 0)
        return out->fd;
    r = note_file(out, path);
    if (r < 0)
        close(out->fd);
    return r;
}

int control_socket_listen(struct control_socket *out, const char *path, bool is_private)
{
    int directory = enter_directory(path, is_private);
    int r;

    *out = (struct control_socket){.fd = -1};
    if (directory < 0)
        return directory;
    r = replace(out, path);
    close(directory);
    return r;
}

static int read_path(int fd, char **path)
{
    struct sockaddr_un address = {0};
    socklen_t n = sizeof(address);
    char *copy;

    /* One byte is left for the NUL of a path that fills the whole. */
    n--;
    if (getsockname(fd, (struct sockaddr *)&address, &n) < 0)
        return error_trace(-errno, "cannot use the socket that systemd passed");
    copy = strdup(address.sun_path);
    if (!copy)
        return -ENOMEM;
    free(*path);
    *path = copy;
    return 0;
}

static int use_inherited(int fd, char **path)
{
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return error_trace(-errno, "cannot use the socket that systemd passed");
    return read_path(fd, path);
}

int control_socket_inherit(struct control_socket *out, struct inherited *inherited, char **path)
{
    int fd, r;

    *out = (struct control_socket){.fd = -1};
    while ((fd = inherited_take(inherited, "")) >= 0) {
        if (out->fd < 0 && sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0)
            out->fd = fd;
        else
            close(fd);
    }
    if (out->fd < 0)
        return 0;
    r = use_inherited(out->fd, path);
    return r < 0 ? r : 1;
}

int control_socket_adopt(struct control_socket *out, int fd, bool owns_file, char **path)
{
    int r = use_inherited(fd, path);

    *out = (struct control_socket){.fd = fd};
    if (r == 0 && owns_file)
        r = note_file(out, *path);
    if (r < 0)
        close(fd);
    return r;
}

void control_socket_disown(struct control_socket *socket)
{
    free(socket->path);
    socket->path = NULL;
}

void control_socket_remove(struct control_socket *socket)
{
    struct stat st;

    if (socket->path && lstat(socket->path, &st) == 0 && st.st_dev == socket->device &&
        st.st_ino == socket->inode)
        unlink(socket->path);
    free(socket->path);
    socket->path = NULL;
}
