/* SPDX-License-Identifier: MIT */
/* MQTT by libmosquitto, quality of service 0: peer_mosquitto publish|subscribe PORT [options of
 * load.h]. */
#include "bench/load.h"

#include <mosquitto.h>
#include <semaphore.h>

#define TOPIC "bench"

static sem_t done, subscribed;

static void check(int status, const char *what)
{
    if (status != MOSQ_ERR_SUCCESS)
        load_fail(what, mosquitto_strerror(status));
}

static void on_subscribe(struct mosquitto *m, void *context, int id, int n, const int *granted)
{
    (void)m, (void)context, (void)id, (void)n, (void)granted;
    sem_post(&subscribed);
}

static void on_message(struct mosquitto *m, void *context, const struct mosquitto_message *message)
{
    (void)m;
    if (load_take(context, message->payload, (size_t)message->payloadlen))
        sem_post(&done);
}

static void subscribe(struct load *l, struct mosquitto *m)
{
    mosquitto_message_callback_set(m, on_message);
    mosquitto_subscribe_callback_set(m, on_subscribe);
    check(mosquitto_loop_start(m), "loop");
    check(mosquitto_subscribe(m, NULL, TOPIC, 0), "subscribe");
    sem_wait(&subscribed);
    load_ready();
    sem_wait(&done);
    (void)l;
}

static void publish(struct load *l, struct mosquitto *m)
{
    check(mosquitto_loop_start(m), "loop");
    while (l->sent < l->count) {
        load_next(l);
        check(mosquitto_publish(m, NULL, TOPIC, (int)l->size, l->payload, 0, false), "publish");
    }
    while (mosquitto_want_write(m))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

int main(int argc, char **argv)
{
    static struct load l;
    load_parse(&l, argc, argv);
    sem_init(&done, 0, 0);
    sem_init(&subscribed, 0, 0);
    mosquitto_lib_init();
    struct mosquitto *m = mosquitto_new(NULL, true, &l);
    if (m == NULL)
        load_fail("mosquitto_new", "no memory");
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    check(mosquitto_connect(m, "127.0.0.1", atoi(l.target), 60), l.target);
    if (l.mode[0] == 's')
        subscribe(&l, m);
    else
        publish(&l, m);
    load_print(&l);
    mosquitto_disconnect(m);
    mosquitto_loop_stop(m, false);
    mosquitto_destroy(m);
    mosquitto_lib_cleanup();
    return 0;
}
