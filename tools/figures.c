/* SPDX-License-Identifier: MIT */
/* Numbers, bytes and times as people read them. */
#include "tools/figures.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *scaled(double value, double step, const char *const *units, char *buf)
{
    int i = 0;
    /* 999.95 would print as 1000.0. */
    while (value >= step - step / 20000 && units[i + 1] != NULL) {
        value /= step;
        i++;
    }
    snprintf(buf, FIGURE_MAX,
             i == 0          ? "%.0f%s"
             : value < 99.95 ? "%.1f%s"
                             : "%.0f%s",
             value, units[i]);
    return buf;
}

const char *figure_count(uint64_t n, char buf[FIGURE_MAX])
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", NULL};
    return scaled((double)n, 1000, units, buf);
}

const char *figure_exact(uint64_t n, char buf[FIGURE_MAX])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    char *out = buf;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return buf;
}

const char *figure_bytes(uint64_t n, char buf[FIGURE_MAX])
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL};
    return scaled((double)n, 1024, units, buf);
}

static const char *two_units(long long large, const char *large_unit, long long small,
                             const char *small_unit, char *buf)
{
    int n = snprintf(buf, FIGURE_MAX, "%lld %s", large, large_unit);
    if (small > 0)
        snprintf(buf + n, FIGURE_MAX - (size_t)n, " %lld %s", small, small_unit);
    return buf;
}

const char *figure_duration(int64_t seconds, char buf[FIGURE_MAX])
{
    long long s = seconds > 0 ? seconds : 0;
    if (s < 60)
        snprintf(buf, FIGURE_MAX, "%lld s", s);
    else if (s < 3600)
        return two_units(s / 60, "min", s % 60, "s", buf);
    else if (s < 86400)
        return two_units(s / 3600, "h", s % 3600 / 60, "min", buf);
    else
        return two_units(s / 86400, "d", s % 86400 / 3600, "h", buf);
    return buf;
}

const char *figure_rate(double rate, char buf[FIGURE_MAX])
{
    if (rate > 0 && rate < 9.95)
        snprintf(buf, FIGURE_MAX, "%.1f", rate);
    else
        figure_count((uint64_t)(rate > 0 ? rate + 0.5 : 0), buf);
    return buf;
}

int64_t figure_seconds(const char *rfc3339)
{
    struct tm t = {0};
    if (rfc3339 == NULL)
        return -1;
    const char *rest = strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &t);
    if (rest == NULL || strchr(rest, 'Z') == NULL)
        return -1;
    return timegm(&t);
}
