/* SPDX-License-Identifier: MIT */
/*
 * What sessions are measured against: ENet, one peer, one channel, reliable packets.
 *
 *     enet receive [--warm-up S] [--mtu BYTES]
 *     enet send PORT [--address IP] [--size BYTES] [--seconds S] [--mtu BYTES]
 *
 * receive prints "port P" on stderr and, when its peer or SIGTERM ends it, what has come as one
 * JSON object (goodput.h). send keeps ENet's queue filled for S seconds and ends.
 */
#include "bench/goodput.h"

#include <arpa/inet.h>
#include <enet/enet.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#define MAX_QUEUED    (1u << 20) /* bytes that ENet has and the peer has not acknowledged */
#define SOCKET_BUFFER (4 << 20)  /* as msgd's */
#define PATIENCE_MS   60000

struct options {
    const char *address;
    size_t size;
    double seconds, warm_up_s;
    unsigned mtu;
};

static size_t queued_bytes;
static volatile sig_atomic_t is_ended;

static void end(int number)
{
    (void)number;
    is_ended = 1;
}

static void fail(const char *what)
{
    fprintf(stderr, "enet: %s\n", what);
    exit(71);
}

static ENetHost *open_host(const ENetAddress *here, unsigned mtu)
{
    ENetHost *host = enet_host_create(here, 1, 1, 0, 0);
    if (host == NULL)
        fail("no host");
    if (mtu != 0)
        host->mtu = host->peers[0].mtu = mtu; /* the lower one of both sides is agreed on */
    enet_socket_set_option(host->socket, ENET_SOCKOPT_RCVBUF, SOCKET_BUFFER);
    enet_socket_set_option(host->socket, ENET_SOCKOPT_SNDBUF, SOCKET_BUFFER);
    return host;
}

/* A peer is given up after PATIENCE_MS, whatever is lost: the network here is bad on purpose. */
static void be_patient(ENetPeer *peer)
{
    enet_peer_timeout(peer, 1u << 20, PATIENCE_MS, PATIENCE_MS);
}

/* The next event. ENet repeats what was lost only between waits: they are short. */
static void wait_for_event(ENetHost *host, ENetEvent *event)
{
    int n = 0;
    event->type = ENET_EVENT_TYPE_NONE;
    while (n == 0 && !is_ended)
        n = enet_host_service(host, event, 1);
    if (n < 0)
        fail("enet_host_service");
}

static int receive(const struct options *o)
{
    ENetAddress here = {.host = htonl(INADDR_LOOPBACK), .port = 0};
    ENetHost *host = open_host(&here, o->mtu);
    struct goodput seen = {.warm_up_s = o->warm_up_s};
    ENetEvent event = {.type = ENET_EVENT_TYPE_NONE};
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, NULL);
    fprintf(stderr, "port %u\n", host->address.port);
    fflush(stderr);
    while (event.type != ENET_EVENT_TYPE_DISCONNECT && !is_ended) {
        wait_for_event(host, &event);
        if (event.type == ENET_EVENT_TYPE_CONNECT)
            be_patient(event.peer);
        if (event.type != ENET_EVENT_TYPE_RECEIVE)
            continue;
        goodput_count(&seen, event.packet->data, event.packet->dataLength);
        enet_packet_destroy(event.packet);
    }
    goodput_print(&seen);
    enet_host_destroy(host);
    return 0;
}

static void forget(ENetPacket *packet)
{
    queued_bytes -= packet->dataLength;
}

static void fill(ENetPeer *peer, uint8_t *message, size_t size)
{
    while (queued_bytes == 0 || queued_bytes + size <= MAX_QUEUED) {
        ENetPacket *packet = enet_packet_create(message, size, ENET_PACKET_FLAG_RELIABLE);
        if (packet == NULL)
            fail("no packet");
        packet->freeCallback = forget;
        queued_bytes += size;
        if (enet_peer_send(peer, 0, packet) < 0)
            fail("enet_peer_send");
        goodput_next(message);
    }
}

static ENetPeer *connect_to(ENetHost *host, const char *ip, unsigned port)
{
    ENetAddress there = {.port = (enet_uint16)port};
    ENetEvent event;
    if (enet_address_set_host_ip(&there, ip) < 0)
        fail("no address");
    ENetPeer *peer = enet_host_connect(host, &there, 1, 0);
    if (peer == NULL)
        fail("no peer");
    be_patient(peer);
    wait_for_event(host, &event);
    if (event.type != ENET_EVENT_TYPE_CONNECT)
        fail("no connection");
    return peer;
}

static int send_all(const struct options *o, unsigned port)
{
    ENetHost *host = open_host(NULL, o->mtu);
    ENetPeer *peer = connect_to(host, o->address, port);
    uint8_t *message = goodput_message(o->size);
    ENetEvent event = {.type = ENET_EVENT_TYPE_NONE};
    if (message == NULL)
        fail("no memory");
    for (double end = goodput_now() + o->seconds; goodput_now() < end;) {
        fill(peer, message, o->size);
        if (enet_host_service(host, &event, 1) < 0 || event.type == ENET_EVENT_TYPE_DISCONNECT)
            fail("disconnected");
    }
    enet_peer_disconnect_now(peer, 0);
    free(message);
    enet_host_destroy(host);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"address", 1, NULL, 'a'}, {"size", 1, NULL, 's'},
                                            {"seconds", 1, NULL, 't'}, {"mtu", 1, NULL, 'm'},
                                            {"warm-up", 1, NULL, 'w'}, {NULL, 0, NULL, 0}};
    struct options o = {.address = "127.0.0.1", .size = 256, .seconds = 1};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'a')
            o.address = optarg;
        else if (option == 's')
            o.size = strtoul(optarg, NULL, 10);
        else if (option == 't')
            o.seconds = strtod(optarg, NULL);
        else if (option == 'm')
            o.mtu = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'w')
            o.warm_up_s = strtod(optarg, NULL);
        else
            return 64;
    }
    if (optind >= argc || o.size < GOODPUT_MIN || enet_initialize() != 0)
        return 64;
    if (strcmp(argv[optind], "receive") == 0)
        return receive(&o);
    if (strcmp(argv[optind], "send") == 0 && argc - optind == 2)
        return send_all(&o, (unsigned)strtoul(argv[optind + 1], NULL, 10));
    return 64;
}
