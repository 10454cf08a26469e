// SPDX-License-Identifier: MIT
// simdjson's DOM parse behind a C function, for bench/validator.c.
#include <simdjson.h>

extern "C" bool simdjson_is_valid(const uint8_t *bytes, size_t n);

static_assert(simdjson::SIMDJSON_PADDING <= 64, "texts have JSON_TEXT_SLACK bytes after them");

// One parser for all texts, and no copy: as its manual says that it is fastest.
bool simdjson_is_valid(const uint8_t *bytes, size_t n)
{
    static simdjson::dom::parser parser;

    return parser.parse(bytes, n, false).error() == simdjson::SUCCESS;
}
