/* SPDX-License-Identifier: MIT */
/* msgd: argv and exit codes. */
#include "daemon/base/log.h"
#include "daemon/server.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char usage[] =
    "Usage: msgd [--config FILE] [--socket PATH] [--state DIR] [--check] [--log-level LEVEL]\n"
    "\n"
    "Owns UDP ports on behalf of local processes. Needs no configuration.\n"
    "\n"
    "  --config FILE      read this file in place of the default one\n"
    "  --socket PATH      serve the control socket here\n"
    "  --state DIR        keep what outlives msgd here\n"
    "  --check            read the configuration, say what is wrong with it, and exit\n"
    "  --log-level LEVEL  error, warning, info (default) or debug\n"
    "  --help             this text\n"
    "  --version          the version\n";

struct arguments {
    struct server_options server;
    enum log_level level;
    bool is_check;
};

enum arguments_outcome { ARGUMENTS_DONE = 1, ARGUMENTS_BAD = 2 };

static int parse_level(const char *word, enum log_level *out)
{
    static const struct {
        const char *word;
        enum log_level level;
    } levels[] = {{"error", LOG_LEVEL_ERROR},
                  {"warning", LOG_LEVEL_WARNING},
                  {"info", LOG_LEVEL_INFO},
                  {"debug", LOG_LEVEL_DEBUG}};

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(levels[i].word, word) != 0)
            continue;
        *out = levels[i].level;
        return 0;
    }
    fprintf(stderr, "msgd: --log-level %s: use error, warning, info or debug\n", word);
    return ARGUMENTS_BAD;
}

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},    {"socket", required_argument, NULL, 's'},
    {"state", required_argument, NULL, 'd'},     {"check", no_argument, NULL, 'k'},
    {"log-level", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},         {NULL, 0, NULL, 0},
};

static int take_option(int option, struct arguments *out)
{
    switch (option) {
    case 'c':
        out->server.config_path = optarg;
        return 0;
    case 's':
        out->server.socket_path = optarg;
        return 0;
    case 'd':
        out->server.state_directory = optarg;
        return 0;
    case 'k':
        out->is_check = true;
        return 0;
    case 'l':
        return parse_level(optarg, &out->level);
    case 'h':
        fputs(usage, stdout);
        return ARGUMENTS_DONE;
    case 'v':
        puts("msgd " MSGD_VERSION);
        return ARGUMENTS_DONE;
    default:
        fputs("msgd: see msgd --help\n", stderr);
        return ARGUMENTS_BAD;
    }
}

static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    int option, r = 0;

    *out = (struct arguments){.level = LOG_LEVEL_INFO};
    while (r == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        r = take_option(option, out);
    if (r == 0 && optind < argc) {
        fprintf(stderr, "msgd: unexpected argument \"%s\"; see msgd --help\n", argv[optind]);
        r = ARGUMENTS_BAD;
    }
    return r;
}

static int exit_code(int result)
{
    if (result < 0)
        return EX_OSERR;
    if (result == SERVER_BAD_CONFIGURATION)
        return EX_CONFIG;
    return result == 0 ? EX_OK : EX_UNAVAILABLE;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    int r = parse_arguments(argc, argv, &arguments);

    if (r != 0)
        return r == ARGUMENTS_DONE ? EX_OK : EX_USAGE;
    log_init(arguments.level);
    arguments.server.argv = argv;
    r = arguments.is_check ? server_check(&arguments.server) : server_run(&arguments.server);
    return exit_code(r);
}
