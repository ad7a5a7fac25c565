/* connector_options.h -- what the script said of a connector, by name.
 *
 * Ownership  The caller's, for the call of open. */
#ifndef SW_RUN_CONNECTOR_OPTIONS_H
#define SW_RUN_CONNECTOR_OPTIONS_H

#include <stdint.h>
#include <string.h>

typedef enum sw_option_kind { SW_OPTION_STRING, SW_OPTION_NUMBER, SW_OPTION_BOOL } sw_option_kind;

typedef struct sw_option {
    const char *name;    /* NUL-terminated */
    sw_option_kind kind; /* which of the values below */
    const char *string;  /* NUL-terminated */
    double number;       /* also 0 / 1 of a bool */
} sw_option;

typedef struct sw_options {
    const sw_option *list; /* count of them, owned by the caller */
    uint32_t count;        /* options */
} sw_options;

static inline const sw_option *sw_options_find(const sw_options *options, const char *name)
{
    for (uint32_t i = 0; i < options->count; i++)
        if (strcmp(options->list[i].name, name) == 0) return &options->list[i];
    return NULL;
}

#endif
