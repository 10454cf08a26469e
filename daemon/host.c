/* SPDX-License-Identifier: MIT */
/* What msgd needs of the machine that it runs on. */
#include "daemon/host.h"

#include "daemon/base/log.h"
#include "daemon/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_WANTED 65536
#define DESCRIPTORS_LEAST  32

int host_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return DESCRIPTORS_WANTED - 1;
    if (limit.rlim_cur < DESCRIPTORS_WANTED && limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
            log_warning("cannot raise the limit of descriptors from %llu: %s",
                        (unsigned long long)before, strerrordesc_np(errno));
            limit.rlim_cur = before;
        }
    }
    if (limit.rlim_cur < DESCRIPTORS_LEAST) {
        log_error(
            "the limit of descriptors is %llu, msgd needs at least %d: raise it with ulimit -n, "
            "or LimitNOFILE= in the unit",
            (unsigned long long)limit.rlim_cur, DESCRIPTORS_LEAST);
        return -EMFILE;
    }
    return limit.rlim_cur < DESCRIPTORS_WANTED ? (int)limit.rlim_cur - 1 : DESCRIPTORS_WANTED - 1;
}

/* False: cannot be read. */
static bool read_sysctl(const char *path, char *text, size_t n_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, n_text - 1);

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    text[n] = '\0';
    return true;
}

static void warn_of_ephemeral(const char *key, struct port_span ours, struct port_span kernels)
{
    if (port_span_overlaps(ours, kernels))
        log_warning("%s (%u-%u) overlaps the kernel's ephemeral ports (%u-%u), so that other "
                    "programs get its ports at random: change %s, or the sysctl "
                    "net.ipv4.ip_local_port_range",
                    key, ours.first, ours.last, kernels.first, kernels.last, key);
}

static void check_ports(const struct config *config)
{
    struct port_span kernels;
    char text[64];

    if (!read_sysctl("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text)) ||
        !port_span_parse_kernel(text, &kernels))
        return;
    warn_of_ephemeral("port_range", config->port_range, kernels);
}

static uint64_t largest_receive_buffer(const struct config *config)
{
    struct settings defaults;
    uint64_t largest;

    settings_init(&defaults);
    largest = defaults.receive_buffer_bytes;
    settings_deinit(&defaults);
    for (size_t i = 0; i < config->n_endpoints; i++)
        if (config->endpoints[i].settings.receive_buffer_bytes > largest)
            largest = config->endpoints[i].settings.receive_buffer_bytes;
    return largest;
}

static void check_receive_buffer(const struct config *config)
{
    uint64_t wanted = largest_receive_buffer(config);
    unsigned long long allowed;
    char text[64];

    if (!read_sysctl("/proc/sys/net/core/rmem_max", text, sizeof(text)))
        return;
    allowed = strtoull(text, NULL, 10);
    if (allowed < wanted)
        log_warning("the kernel gives a socket at most %llu bytes of receive buffer where "
                    "receive_buffer_bytes asks for %llu, so that bursts are lost sooner: sysctl -w "
                    "net.core.rmem_max=%llu",
                    allowed, (unsigned long long)wanted, (unsigned long long)wanted);
}

void host_warn(const struct config *config)
{
    check_ports(config);
    check_receive_buffer(config);
}
