/* SPDX-License-Identifier: MIT */
/* No JSON text is taken for another kind of datagram, and the first byte alone decides. */
#include "proto/datagram.h"
#include "proto/json_text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum datagram_kind kind = datagram_classify(data, size);

    if (json_text_is_valid(data, size))
        HOLDS(kind == DATAGRAM_PLAIN);
    HOLDS((kind == DATAGRAM_FRAMED) == (size > 0 && data[0] == 0x1e));
    HOLDS((kind == DATAGRAM_COMPACT) == (size > 0 && data[0] == 'e'));
    HOLDS(size == 0 || kind == datagram_classify(data, 1));
    HOLDS(size > 0 || kind == DATAGRAM_UNKNOWN);
    return 0;
}
