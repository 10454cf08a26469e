/* SPDX-License-Identifier: MIT */
/* Lists of CPUs as they are written. */
#include "daemon/config/cpu_list.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text, *cpus; /* NULL: refused */
} rows[] = {
    {"one", "3", "3 "},
    {"several, in the order of the text", "4,0,2", "4 0 2 "},
    {"a range", "2-5", "2 3 4 5 "},
    {"a range of one", "7-7", "7 "},
    {"ranges and single ones", "0,2-3,9", "0 2 3 9 "},
    {"the most digits", "9999", "9999 "},
    {"nothing", "", NULL},
    {"a comma at the end", "1,", NULL},
    {"a comma at the beginning", ",1", NULL},
    {"an open range", "1-", NULL},
    {"backwards", "3-1", NULL},
    {"white space", "1, 2", NULL},
    {"a sign", "-1", NULL},
    {"twice", "1,1", NULL},
    {"twice by a range", "0-2,1", NULL},
    {"a stride, which taskset has", "0-31:2", NULL},
    {"too many digits", "00001", NULL},
    {"as many as fit", "0-63", ""},
    {"one more", "0-64", NULL},
};

Test(cpu_list, is_read_whole_or_not_at_all)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cpu_list list = {.n = 0};
        char text[64] = "";

        bool is_list = cpu_list_parse(rows[i].text, &list);
        cr_assert_eq(is_list, rows[i].cpus != NULL, "%s", rows[i].name);
        for (uint32_t k = 0; k < list.n && list.n < 10; k++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%u ", list.cpus[k]);
        if (is_list)
            cr_assert_str_eq(text, rows[i].cpus, "%s", rows[i].name);
        else
            cr_assert_eq(list.n, 0, "%s: the former list stays", rows[i].name);
    }
}

Test(cpu_list, is_equal_to_one_in_the_same_order)
{
    struct cpu_list a, b, c;

    cr_assert(cpu_list_parse("0-2", &a) && cpu_list_parse("0,1,2", &b) &&
              cpu_list_parse("2,1,0", &c));
    cr_assert(cpu_list_equals(&a, &b));
    cr_assert_not(cpu_list_equals(&a, &c));
}

Test(cpu_list, names_the_first_cpu_that_is_not_there)
{
    struct cpu_list list;

    cr_assert(cpu_list_parse("9998-9999", &list));
    cr_assert_eq(cpu_list_forbidden(&list), 9998);
}
