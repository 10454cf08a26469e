/* SPDX-License-Identifier: MIT */
/* A predecessor's sockets, adopted as what was noted of them. On loopback. */
#include "daemon/data/socket.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

#define BUFFER_BYTES 65536

static struct settings settings;
static struct address address;
static struct udp_socket it;

static uint16_t port_of(int socket)
{
    struct sockaddr_in name;
    socklen_t length = sizeof(name);

    cr_assert_eq(getsockname(socket, (struct sockaddr *)&name, &length), 0);
    return ntohs(name.sin_port);
}

static void open_it(void)
{
    const char *what;

    settings_init(&settings);
    settings.receive_buffer_bytes = BUFFER_BYTES;
    address = settings.address;
    cr_assert_eq(udp_socket_open(&it, &settings, &address, &what), 0);
    address.port = port_of(it.descriptor);
    close(it.descriptor);
    cr_assert_eq(udp_socket_open(&it, &settings, &address, &what), 0);
}

TestSuite(udp_socket, .init = open_it);

/* As its successor has it. */
static bool adopt(void)
{
    it.granted = 0;
    return udp_socket_adopt(&it, &settings, &address);
}

static uint32_t receive_buffer_of(int socket)
{
    int value = 0;
    socklen_t length = sizeof(value);

    cr_assert_eq(getsockopt(socket, SOL_SOCKET, SO_RCVBUF, &value, &length), 0);
    return (uint32_t)value / 2;
}

static int gro_of(int socket)
{
    int value = -1;
    socklen_t length = sizeof(value);

    cr_assert_eq(getsockopt(socket, IPPROTO_UDP, UDP_GRO, &value, &length), 0);
    return value;
}

static bool is_closed(int descriptor)
{
    return fcntl(descriptor, F_GETFD) < 0 && errno == EBADF;
}

Test(udp_socket, what_is_as_noted_is_taken_as_it_is)
{
    uint64_t before = it.note;

    cr_assert(adopt());
    cr_assert_eq(it.note, before);
    cr_assert_eq(it.granted, BUFFER_BYTES);
}

Test(udp_socket, what_is_asked_for_otherwise_is_set_and_noted)
{
    uint64_t before = it.note;

    settings.gro = false;
    settings.receive_buffer_bytes = BUFFER_BYTES / 2;
    cr_assert(adopt());
    cr_assert_neq(it.note, before);
    cr_assert_eq(gro_of(it.descriptor), 0);
    cr_assert_eq(receive_buffer_of(it.descriptor), BUFFER_BYTES / 2);
    before = it.note;
    cr_assert(adopt());
    cr_assert_eq(it.note, before);
}

Test(udp_socket, without_a_note_the_kernel_is_asked)
{
    uint64_t before = it.note;

    it.note = 0;
    cr_assert(adopt());
    cr_assert_eq(it.note, before);
}

Test(udp_socket, one_of_another_address_is_closed)
{
    address.port = address.port == UINT16_MAX ? address.port - 1 : address.port + 1;
    int fd = it.descriptor;

    cr_assert_not(adopt());
    cr_assert(is_closed(fd));
}

/* The kernel had given less than was asked for, and would give it now. */
Test(udp_socket, a_buffer_that_was_too_small_is_asked_for_again)
{
    uint64_t before = it.note;
    int less = BUFFER_BYTES / 8;

    cr_assert_eq(setsockopt(it.descriptor, SOL_SOCKET, SO_RCVBUF, &less, sizeof(less)), 0);
    it.note |= 1;
    cr_assert(adopt());
    cr_assert_eq(it.granted, BUFFER_BYTES);
    cr_assert_eq(it.note, before);
}

Test(udp_socket, what_cannot_be_given_whole_is_noted_as_that)
{
    settings.receive_buffer_bytes = INT32_MAX / 2;
    cr_assert(adopt());
    cr_assert_eq(it.granted, receive_buffer_of(it.descriptor));
    cr_assert_eq(it.note & 1, it.granted != settings.receive_buffer_bytes);
}

Test(udp_socket, none_is_none)
{
    it.descriptor = -1;
    cr_assert_not(adopt());
}
