/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint are taken or refused by name, from Register and from the configuration.
 */
#include "daemon/config/settings_json.h"
#include "proto/name.h"
#include "tests/fuzz/fuzz.h"

static void parse_one(json_t *object, enum settings_source source)
{
    struct settings_error error = {0};
    struct settings settings;
    uint32_t given;
    int r = settings_from_json(object, source, 1u << 30, &settings, &given, &error);

    if (r == 0) {
        HOLDS(name_is_valid(settings.name) && settings.mailbox_bytes <= 1u << 30);
        settings_deinit(&settings);
        return;
    }
    HOLDS(r == SETTINGS_REFUSED && (error.parameter[0] != '\0' || error.is_unknown));
    HOLDS(error.expected[0] != '\0' || error.is_unknown || error.is_missing);
    HOLDS(memchr(error.parameter, '\0', sizeof error.parameter) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *object = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);

    if (json_is_object(object)) {
        parse_one(object, FROM_REGISTER);
        parse_one(object, FROM_CONFIG);
    }
    json_decref(object);
    return 0;
}
