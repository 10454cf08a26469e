/* SPDX-License-Identifier: MIT */
/* Which messages a tap shows. */
#include "tools/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add(struct filter *f, const char *text)
{
    if (strncmp(text, "from=", 5) == 0) {
        if (network_parse(text + 5, &f->networks[f->n_networks]) != 0)
            return FILTER_WRONG;
        f->n_networks++;
        return 0;
    }
    if (strncmp(text, "match=", 6) != 0 || text[6] == '\0')
        return FILTER_WRONG;
    f->texts[f->n_texts++] = text + 6;
    return 0;
}

int filter_init(struct filter *f, const char *const *texts, size_t n, const char **wrong)
{
    *f = (struct filter){0};
    *wrong = NULL;
    f->networks = calloc(n + 1, sizeof *f->networks);
    f->texts = calloc(n + 1, sizeof *f->texts);
    if (f->networks == NULL || f->texts == NULL) {
        filter_deinit(f);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        if (add(f, texts[i]) != 0) {
            filter_deinit(f);
            *wrong = texts[i];
            return FILTER_WRONG;
        }
    return 0;
}

void filter_deinit(struct filter *f)
{
    free(f->networks);
    free(f->texts);
    *f = (struct filter){0};
}

static bool fits_networks(const struct filter *f, const char *from)
{
    struct address address;
    if (f->n_networks == 0)
        return true;
    if (address_parse(from, &address) != 0)
        return false;
    for (size_t i = 0; i < f->n_networks; i++)
        if (network_contains(&f->networks[i], address.ip))
            return true;
    return false;
}

static bool fits_texts(const struct filter *f, const void *data, size_t length)
{
    for (size_t i = 0; i < f->n_texts; i++)
        if (memmem(data, length, f->texts[i], strlen(f->texts[i])) != NULL)
            return true;
    return f->n_texts == 0;
}

bool filter_fits(const struct filter *f, const char *from, const void *data, size_t length)
{
    return fits_networks(f, from) && fits_texts(f, data, length);
}
