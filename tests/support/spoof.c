/* SPDX-License-Identifier: MIT */
/*
 * spoof FROM/BITS:PORT TO:PORT COUNT [AT]: sends the datagram that stands on standard input COUNT
 * times from addresses that are not its own: those of the IPv4 network FROM/BITS, by chance; PORT
 * 0: from ports by chance, too. AT: 32 hexadecimal digits by chance go there into each. Needs root.
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH       64
#define MAX_PAYLOAD 4096
#define N_DIGITS    32

struct packet {
    struct iphdr ip;
    struct udphdr udp;
    char payload[MAX_PAYLOAD];
};

struct order {
    uint32_t network; /* in the machine's byte order */
    uint32_t varied;  /* the bits of it that differ from packet to packet */
    uint16_t port;
    struct sockaddr_in to;
    size_t at; /* of the digits; SIZE_MAX: none */
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* xorshift64* */
static uint64_t chance(void)
{
    static uint64_t state;

    if (state == 0 && getrandom(&state, sizeof state, 0) != sizeof state)
        fail("getrandom");
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static void read_network(char *text, struct order *o)
{
    char *slash = strchr(text, '/');
    char *colon = strchr(text, ':');
    struct in_addr address;

    if (slash == NULL || colon == NULL || colon < slash)
        fail("FROM/BITS:PORT");
    *slash = *colon = '\0';
    if (inet_pton(AF_INET, text, &address) != 1)
        fail(text);
    o->network = ntohl(address.s_addr);
    o->varied = (uint32_t)(UINT64_C(0xffffffff) >> atoi(slash + 1));
    o->port = (uint16_t)atoi(colon + 1);
}

static void read_target(char *text, struct sockaddr_in *to)
{
    char *colon = strchr(text, ':');

    if (colon == NULL)
        fail("TO:PORT");
    *colon = '\0';
    to->sin_family = AF_INET;
    to->sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, text, &to->sin_addr) != 1)
        fail(text);
}

static size_t read_payload(char *payload)
{
    size_t n = 0;

    for (ssize_t got; (got = read(STDIN_FILENO, payload + n, MAX_PAYLOAD - n)) > 0;)
        n += (size_t)got;
    return n;
}

/* The kernel fills in the IP header's checksum and length; UDP over IPv4 may go without. */
static void make(struct packet *p, size_t n, const struct order *o)
{
    uint64_t by_chance = chance();

    p->ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
    p->ip.saddr = htonl((o->network & ~o->varied) | ((uint32_t)by_chance & o->varied));
    p->ip.daddr = o->to.sin_addr.s_addr;
    p->udp.source = htons(o->port != 0 ? o->port : (uint16_t)(1024 + (by_chance >> 32) % 64512));
    p->udp.dest = o->to.sin_port;
    p->udp.len = htons((uint16_t)(sizeof p->udp + n));
    if (o->at == SIZE_MAX)
        return;

    uint64_t low = chance();

    for (size_t i = 0; i < N_DIGITS; i++)
        p->payload[o->at + i] = "0123456789abcdef"[(i < 16 ? by_chance : low) >> 4 * (i % 16) & 15];
}

int main(int argc, char **argv)
{
    static struct packet packets[BATCH];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct order o = {.at = SIZE_MAX};

    if (argc != 4 && argc != 5)
        fail("spoof FROM/BITS:PORT TO:PORT COUNT [AT]");
    read_network(argv[1], &o);
    read_target(argv[2], &o.to);

    long left = atol(argv[3]);
    size_t n = read_payload(packets[0].payload);
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

    if (raw < 0)
        fail("a raw socket");
    if (argc == 5)
        o.at = (size_t)atol(argv[4]);
    if (o.at != SIZE_MAX && o.at + N_DIGITS > n)
        fail("AT");
    for (int i = 0; i < BATCH; i++) {
        memcpy(packets[i].payload, packets[0].payload, n);
        parts[i] = (struct iovec){&packets[i], offsetof(struct packet, payload) + n};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &o.to, .msg_namelen = sizeof o.to, .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    while (left > 0) {
        int batch = left < BATCH ? (int)left : BATCH;

        for (int i = 0; i < batch; i++)
            make(&packets[i], n, &o);

        int sent = sendmmsg(raw, messages, (unsigned)batch, 0);

        if (sent < 0)
            fail("sendmmsg");
        left -= sent;
    }
    return 0;
}
