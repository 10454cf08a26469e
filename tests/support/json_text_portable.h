/* SPDX-License-Identifier: MIT */
/* The JSON validator as machines without SSE2 get it, beside the other one in the same program. */
#ifndef MSGD_TESTS_SUPPORT_JSON_TEXT_PORTABLE_H
#define MSGD_TESTS_SUPPORT_JSON_TEXT_PORTABLE_H

#pragma push_macro("__SSE2__")
#undef __SSE2__
#define json_text_is_valid_padded portable_is_valid_padded
#define json_text_is_valid        portable_is_valid
bool portable_is_valid_padded(const uint8_t *bytes, size_t n);
bool portable_is_valid(const uint8_t *bytes, size_t n);
#include "proto/json_text.c"
#undef json_text_is_valid_padded
#undef json_text_is_valid
#pragma pop_macro("__SSE2__")

#endif
