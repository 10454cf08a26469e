/* SPDX-License-Identifier: MIT */
/* A configuration is taken or refused at a place in it, in one line; what was taken is in order. */
#include "daemon/config/config.h"
#include "proto/name.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

static const struct config_environment environment = {.uid = 1000, .home = "/nowhere"};

static void check_taken(const struct config *c)
{
    HOLDS(c->socket_path != NULL && c->state_directory != NULL);
    for (size_t i = 0; i < c->n_endpoints; i++) {
        HOLDS(name_is_valid(c->endpoints[i].settings.name));
        HOLDS(c->endpoints[i].file != NULL);
    }
}

static void check_refused(const struct config_error *e, const uint8_t *data, size_t size)
{
    char text[PATH_MAX + 512];
    int n_lines = 1;

    for (size_t i = 0; i < size; i++)
        n_lines += data[i] == '\n';
    HOLDS(e->file[0] == '/' && e->expected[0] != '\0');
    HOLDS(e->line >= 0 && e->line <= n_lines && e->column >= 0 && e->column <= (int)size + 1);
    HOLDS(config_error_print(e, text, sizeof text) == text);
    HOLDS(strlen(text) > 0 && strchr(text, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[64];
    struct config c;
    struct config_error error = {0};

    if (fd < 0)
        fd = memfd_create("config", MFD_CLOEXEC);
    HOLDS(fd >= 0 && ftruncate(fd, 0) == 0);
    HOLDS(pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    HOLDS(config_init_defaults(&c, &environment) == 0);

    int r = config_load(&c, path, &error);

    HOLDS(r == 0 || r == CONFIG_REFUSED);
    if (r == 0)
        check_taken(&c);
    else
        check_refused(&error, data, size);
    config_deinit(&c);
    return 0;
}
