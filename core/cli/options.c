#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_COMPARED 63 /* longer names are like no other */
#define ID_HELP (SW_CLI_OPTIONS_MAX + 1)

/* --- names -------------------------------------------------------------------------------------------------------- */

static int min_of(int a, int b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that make b of a (each at most NAME_MAX_COMPARED). */
static int distance(const char *a, const char *b)
{
    int rows[3][NAME_MAX_COMPARED + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2];
    int a_len = (int)strlen(a), b_len = (int)strlen(b);
    for (int j = 0; j <= b_len; j++) last[j] = j;
    memcpy(before, last, sizeof(rows[0]));
    for (int i = 1; i <= a_len; i++) {
        row[0] = i;
        for (int j = 1; j <= b_len; j++) {
            row[j] = min_of(min_of(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min_of(row[j], before[j - 2] + 1);
        }
        int *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_len];
}

const char *sw_cli_nearest(const char *name, const char *const *names)
{
    const char *nearest = NULL;
    size_t len = strlen(name);
    int best = len < 5 ? 2 : (int)len / 3 + 1; /* What is as far off as this is not meant. */
    if (len > NAME_MAX_COMPARED) return NULL;
    for (; *names != NULL; names++) {
        int d = strlen(*names) <= NAME_MAX_COMPARED ? distance(name, *names) : best;
        if (d >= best) continue;
        best = d;
        nearest = *names;
    }
    return nearest;
}

/* --- parsing ------------------------------------------------------------------------------------------------------ */

static const sw_cli_option *find_option(const sw_cli_option *options, int id)
{
    while (options->name != NULL && options->id != id) options++;
    return options->name != NULL ? options : NULL;
}

static void list_long_options(const sw_cli_option *options, struct option *list)
{
    int n = 0;
    for (; options != NULL && options->name != NULL; options++) {
        SW_ASSERT(n < SW_CLI_OPTIONS_MAX);
        /* One that is not available is refused whether it has a value or not. */
        int has_value = options->value == NULL ? no_argument : required_argument;
        if (options->help == NULL) has_value = optional_argument;
        list[n++] = (struct option){ options->name, has_value, NULL, options->id };
    }
    list[n++] = (struct option){ "help", no_argument, NULL, ID_HELP };
    list[n] = (struct option){ 0 };
}

static int refuse_unknown(const sw_cli_option *options, const char *given, sw_error *err)
{
    const char *names[SW_CLI_OPTIONS_MAX + 2];
    char name[NAME_MAX_COMPARED + 1];
    int n = 0;
    names[n++] = "help";
    for (; options != NULL && options->name != NULL; options++)
        if (options->help != NULL) names[n++] = options->name;
    names[n] = NULL;
    given += strspn(given, "-");
    size_t len = strcspn(given, "=");
    snprintf(name, sizeof(name), "%.*s", (int)len, given);
    const char *nearest = sw_cli_nearest(name, names);
    if (nearest != NULL)
        return sw_error_set(err, SW_EINVAL, "unknown option \"--%s\"; did you mean \"--%s\"?", name, nearest);
    return sw_error_set(err, SW_EINVAL, "unknown option \"--%s\"", name);
}

/* getopt_long returned '?' or ':'. */
static int refuse(const sw_cli_option *options, int code, char **argv, sw_error *err)
{
    const sw_cli_option *option = options != NULL ? find_option(options, optopt) : NULL;
    if (code == ':' && option != NULL)
        return sw_error_set(err, SW_EINVAL, "option \"--%s\" needs a value: --%s %s", option->name, option->name,
                            option->value);
    if (option != NULL || optopt == ID_HELP)
        return sw_error_set(err, SW_EINVAL, "option \"--%s\" takes no value", option != NULL ? option->name : "help");
    if (optopt != 0) return sw_error_set(err, SW_EINVAL, "unknown option \"-%c\"", optopt);
    return refuse_unknown(options, argv[optind - 1], err);
}

static int set_option(const sw_cli_option *option, sw_cli_set *set, void *arg, sw_error *err)
{
    if (option->help == NULL)
        return sw_error_set(err, SW_EINVAL, "option \"--%s\" is not available in this version", option->name);
    int rc = set(arg, option->id, optarg, err);
    if (rc != SW_OK) sw_error_prepend(err, "option \"--%s\"", option->name);
    return rc;
}

int sw_cli_parse(const sw_cli_option *options, int argc, char **argv, sw_cli_set *set, void *arg, sw_cli_parsed *parsed,
                 sw_error *err)
{
    struct option list[SW_CLI_OPTIONS_MAX + 2]; /* Row i is options[i]; --help stands behind. */
    int code, row = 0;
    list_long_options(options, list);
    *parsed = (sw_cli_parsed){ 0 };
    optind = 0; /* Makes getopt forget what it parsed before. */
    opterr = 0;
    while ((code = getopt_long(argc, argv, ":h", list, &row)) != -1) {
        if (code == 'h' || code == ID_HELP) {
            parsed->is_help = true;
            return SW_OK;
        }
        if (code == '?' || code == ':') return refuse(options, code, argv, err);
        int rc = set_option(&options[row], set, arg, err);
        if (rc != SW_OK) return rc;
    }
    parsed->rest = argv + optind;
    parsed->rest_count = argc - optind;
    return SW_OK;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

int sw_cli_read_count(const char *value, uint64_t min, uint64_t max, uint64_t *out, sw_error *err)
{
    size_t len = strlen(value);
    errno = 0;
    unsigned long long number = strtoull(value, NULL, 10);
    if (len > 0 && strspn(value, "0123456789") == len && errno == 0 && number >= min && number <= max) {
        *out = number;
        return SW_OK;
    }
    return sw_error_set(err, SW_EINVAL, "expected a whole number from %llu to %llu, got \"%s\"",
                        (unsigned long long)min, (unsigned long long)max, value);
}

int sw_cli_read_word(const char *value, const char *const *words, int *index, sw_error *err)
{
    char list[256] = "";
    size_t n = 0;
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], value) == 0) {
            *index = i;
            return SW_OK;
        }
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s\"%s\"", i == 0 ? "" : ", ", words[i]);
        SW_ASSERT(n < sizeof(list));
    }
    return sw_error_set(err, SW_EINVAL, "expected one of %s, got \"%s\"", list, value);
}
