#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Formats aside first: the arguments may point into err->text. */
static void set_text(sw_error *err, int code, const char *fmt, va_list args)
{
    char text[SW_ERROR_TEXT_SIZE];
    vsnprintf(text, sizeof(text), fmt, args);
    err->code = code;
    memcpy(err->text, text, strlen(text) + 1);
}

/* Adds what fits of ": " and more behind the text. */
static void append_text(sw_error *err, const char *more)
{
    size_t size = strlen(err->text);
    snprintf(err->text + size, sizeof(err->text) - size, ": %s", more);
}

int sw_error_set(sw_error *err, int code, const char *fmt, ...)
{
    va_list args;
    if (err == NULL) return code;
    va_start(args, fmt);
    set_text(err, code, fmt, args);
    va_end(args);
    return code;
}

static int code_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOMEM: return SW_ENOMEM;
    case ENOENT: return SW_ENOTFOUND;
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP: return SW_EINVAL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return SW_ENOSPC;
    case EPIPE:
    case ECONNRESET: return SW_ECLOSED;
    case EMFILE:
    case ENFILE: return SW_ELIMIT;
    case EBUSY:
    case EAGAIN:
    case ETXTBSY: return SW_EBUSY;
    default: return SW_EIO;
    }
}

int sw_error_errno(sw_error *err, int errno_value, const char *fmt, ...)
{
    char system_text[128];
    int code = code_of_errno(errno_value);
    va_list args;
    if (err == NULL) return code;
    va_start(args, fmt);
    set_text(err, code, fmt, args);
    va_end(args);
    append_text(err, strerror_r(errno_value, system_text, sizeof(system_text)));
    return code;
}

void sw_error_prepend(sw_error *err, const char *fmt, ...)
{
    char old[SW_ERROR_TEXT_SIZE];
    va_list args;
    if (err == NULL) return;
    memcpy(old, err->text, strlen(err->text) + 1);
    va_start(args, fmt);
    set_text(err, err->code, fmt, args);
    va_end(args);
    append_text(err, old[0] != '\0' ? old : sw_error_meaning(err->code));
}

const char *sw_error_name(int code)
{
#define NAME_CASE(name, value, text)                                                                                   \
    case value: return #name;
    switch (code) {
        SW_ERROR_CODES(NAME_CASE)
    default: return "SW_E?";
    }
#undef NAME_CASE
}

const char *sw_error_meaning(int code)
{
#define MEANING_CASE(name, value, text)                                                                                \
    case value: return text;
    switch (code) {
        SW_ERROR_CODES(MEANING_CASE)
    default: return "unknown error";
    }
#undef MEANING_CASE
}

void sw_assert_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
