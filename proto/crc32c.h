/* SPDX-License-Identifier: MIT */
/* CRC-32C: Castagnoli's polynomial 0x82F63B78 (reflected), as RFC 3720, appendix B.4. */
#ifndef MSGD_PROTO_CRC32C_H
#define MSGD_PROTO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * The checksum of what crc is the checksum of, followed by n bytes. Begin with 0. Uses SSE4.2 and
 * PCLMUL where the processor has them.
 */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);

/* The same without special instructions. */
uint32_t crc32c_portable(uint32_t crc, const void *bytes, size_t n);

#endif
