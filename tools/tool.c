/* SPDX-License-Identifier: MIT */
/* What every tool does alike. */
#include "tools/tool.h"

#include "proto/json_input.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *tool_name = "msgd";

int tool_begin(const struct tool_spec *tool, int argc, char **argv, void *values)
{
    const struct common_options *common = values;
    char error[OPTIONS_ERROR_MAX];
    tool_name = tool->name;
    signal(SIGPIPE, SIG_IGN);
    json_input_guard();
    int result = options_parse(tool, argc, argv, values, error);
    if (result == OPTIONS_WRONG)
        return tool_fail(EXIT_USAGE, "%s", error);
    if (result != 0)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(-result));
    if (common->help)
        options_print_help(tool, stdout);
    else if (common->version)
        printf("%s (msgd) %s\n", tool->name, MSGD_VERSION);
    else if (common->completion)
        options_print_completion(tool, stdout);
    else
        return -1;
    return EXIT_DONE;
}

int tool_end(const struct tool_spec *tool, void *values, int code)
{
    options_deinit(tool, values);
    bool was_bad = ferror(stdout) != 0;
    bool is_bad = fflush(stdout) != 0;
    if (is_bad && errno != EPIPE)
        return tool_fail(EXIT_SYSTEM, "cannot write to stdout: %s", strerror(errno));
    if (was_bad && !is_bad && code == EXIT_DONE && errno == ENOSPC)
        return tool_fail(EXIT_SYSTEM, "cannot write to stdout: %s", strerror(errno));
    return code;
}

int tool_fail(enum exit_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    flockfile(stderr);
    fprintf(stderr, "%s: ", tool_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(arguments);
    return code;
}

int tool_usage(const char *format, ...)
{
    char sentence[OPTIONS_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return tool_fail(EXIT_USAGE, "%s; try '%s --help'", sentence, tool_name);
}

int tool_unknown_word(const char *verb, const char *word, const char *const *names, size_t n)
{
    const char *near = options_nearest(word, strlen(word), names, n);
    char list[OPTIONS_ERROR_MAX] = "";
    size_t at = 0;
    for (size_t i = 0; i < n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               i == 0       ? ""
                               : i + 1 == n ? " or "
                                            : ", ",
                               names[i]);
    return tool_usage("%s \"%s\": expected %s%s%s%s", verb, word, list,
                      near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                      near != NULL ? "?" : "");
}

int tool_fail_call(const struct msgd *m, int error)
{
    char buf[EXIT_SENTENCE_MAX];
    const char *name = msgd_error_name(m);
    const char *sentence = exit_sentence(name, msgd_error_parameters(m), tool_command_of, buf);
    if (sentence == NULL)
        sentence = msgd_error(m);
    return tool_fail(exit_code_of(name, error), "%s", sentence);
}

int tool_connect(const struct common_options *common, struct msgd **out)
{
    int error = msgd_open(out, common->socket);
    if (error == 0)
        return EXIT_DONE;
    enum exit_code code = exit_code_of("", error);
    if (error == -ENOTSOCK || error == -ENOTDIR || error == -EPROTOTYPE)
        code = EXIT_UNAVAILABLE;
    return tool_fail(code, "%s", msgd_error(NULL));
}

int tool_call(struct msgd *m, const char *method, json_t *parameters, json_t **reply)
{
    *reply = NULL;
    char *text = parameters != NULL ? json_dumps(parameters, JSON_COMPACT) : NULL;
    json_decref(parameters);
    if (text == NULL)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM));
    char *answer = NULL;
    json_error_t fault;
    int error = msgd_call(m, method, text, &answer);
    free(text);
    if (error != 0)
        return tool_fail_call(m, error);
    error = json_input_parse(answer, strlen(answer), JSON_ALLOW_NUL, reply, &fault);
    free(answer);
    if (error == -ENOMEM)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM));
    if (error != 0)
        return tool_fail(EXIT_SYSTEM, "msgd's answer to %s cannot be understood", method);
    return EXIT_DONE;
}

bool tool_has_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

int tool_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    int n = columns != NULL ? atoi(columns) : 0;
    if (n <= 0 && isatty(STDOUT_FILENO))
        n = 80;
    return n > 0 ? n : 0;
}

bool tool_has_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL && *value != '\0')
            return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL;
    }
    return false;
}

int tool_milliseconds(double seconds)
{
    if (seconds < 0)
        return -1;
    double ms = seconds * 1000;
    if (ms >= (double)INT_MAX)
        return INT_MAX;
    return ms < 1 ? (seconds > 0) : (int)ms;
}

const char *tool_command_of(int pid)
{
    static char command[32];
    char path[32];
    if (pid <= 0)
        return NULL;
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    char *line = fgets(command, sizeof command, file);
    fclose(file);
    if (line == NULL)
        return NULL;
    command[strcspn(command, "\n")] = '\0';
    for (char *c = command; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return command;
}

const char *tool_user_of(int64_t uid)
{
    static char text[40];
    const struct passwd *entry = getpwuid((uid_t)uid);
    if (entry != NULL)
        snprintf(text, sizeof text, "%s", entry->pw_name);
    else
        snprintf(text, sizeof text, "%lld", (long long)uid);
    return text;
}

int tool_print_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    if (text == NULL)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM));
    puts(text);
    free(text);
    return EXIT_DONE;
}
