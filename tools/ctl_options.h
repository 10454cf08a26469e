/* SPDX-License-Identifier: MIT */
/* msgctl's command line. */
#ifndef MSGD_TOOLS_CTL_OPTIONS_H
#define MSGD_TOOLS_CTL_OPTIONS_H

#include "tools/tool.h"

struct ctl_options {
    struct common_options common;
    int64_t count;      /* 0: not given */
    const char *number; /* as number_range_parse takes it; NULL: not given */
    const char *to;     /* NULL: not given */
    bool bare;
};

#endif
