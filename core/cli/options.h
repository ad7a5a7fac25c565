/* options.h -- the options of a command line, told by a table.
 *
 *     argv --sw_cli_parse--> set(option, value) for each option, in order     + the arguments that are no options
 *
 * Options may stand before and behind other arguments; behind "--" nothing is an option.
 *
 * Ownership  values and arguments point into argv, whose order is changed.
 * Threads    one at a time, as getopt_long.
 * Limits     SW_CLI_OPTIONS_MAX rows in a table. */
#ifndef SW_CLI_OPTIONS_H
#define SW_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define SW_CLI_OPTIONS_MAX 48

typedef struct sw_cli_option {
    int id;            /* for set; from 1 on */
    const char *name;  /* without "--"; NULL ends the table */
    const char *value; /* what its value is called in the help; NULL: takes none */
    const char *help;  /* one line; NULL: known, but not available in this version */
} sw_cli_option;

typedef struct sw_cli_parsed {
    char **rest;    /* arguments that are no options */
    int rest_count; /* of them */
    bool is_help;   /* --help was given; nothing else counts */
} sw_cli_parsed;

/* Called for each option; value is NULL for one that takes none. Not SW_OK: err says what is wrong with the value. */
typedef int sw_cli_set(void *arg, int id, const char *value, sw_error *err);

/* argv[0] is not looked at. SW_OK, or SW_EINVAL with a text that names the option and the nearest that exists. */
int sw_cli_parse(const sw_cli_option *options, int argc, char **argv, sw_cli_set *set, void *arg, sw_cli_parsed *parsed,
                 sw_error *err);

/* The one of `names` (ended by NULL) that is most like `name`, or NULL when none is like it. */
const char *sw_cli_nearest(const char *name, const char *const *names);

/* Reads a value; SW_EINVAL with a text that says what was expected. */
int sw_cli_read_count(const char *value, uint64_t min, uint64_t max, uint64_t *out, sw_error *err);
int sw_cli_read_word(const char *value, const char *const *words, int *index, sw_error *err);

#endif
