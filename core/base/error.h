/* error.h -- result codes, error texts with context, and assertions.
 *
 *     failing call --sw_error_set--> [ code | text ] --sw_error_prepend (caller's context)--> report
 *
 * Functions return SW_OK or a negative code; the text for people travels in an
 * sw_error that the caller owns and may leave out (NULL). "Not now" is not
 * failure: SW_EFULL and SW_EEMPTY are returned without a text.
 *
 * Ownership  the caller owns the sw_error; nothing in it needs freeing.
 * Threads    an sw_error belongs to one thread at a time.
 * Limits     texts are cut at 1023 bytes. */
#ifndef SW_BASE_ERROR_H
#define SW_BASE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Each code with its value and what it means to a person. */
#define SW_ERROR_CODES(X)                                                                                              \
    X(SW_OK, 0, "ok")                                                                                                  \
    X(SW_ENOMEM, -1, "out of memory")                                                                                  \
    X(SW_EINVAL, -2, "invalid argument")                                                                               \
    X(SW_EIO, -3, "input/output error")                                                                                \
    X(SW_EFULL, -4, "full")                                                                                            \
    X(SW_EEMPTY, -5, "empty")                                                                                          \
    X(SW_ENOTFOUND, -6, "not found")                                                                                   \
    X(SW_ELIMIT, -7, "limit exceeded")                                                                                 \
    X(SW_EFORMAT, -8, "malformed data")                                                                                \
    X(SW_ETYPE, -9, "wrong type")                                                                                      \
    X(SW_ESTATE, -10, "not possible in this state")                                                                    \
    X(SW_ESCRIPT, -11, "error in the script")                                                                          \
    X(SW_ESTOPPED, -12, "stopped")                                                                                     \
    X(SW_EBUSY, -13, "busy")                                                                                           \
    X(SW_ECLOSED, -14, "closed by the other side")                                                                     \
    X(SW_ENOSPC, -15, "no space left")

#define SW_ERROR_ENUM(name, value, text) name = (value),
enum { SW_ERROR_CODES(SW_ERROR_ENUM) };
#undef SW_ERROR_ENUM

#define SW_ERROR_TEXT_SIZE 1024

typedef struct sw_error {
    int code;                      /* One of SW_ERROR_CODES. */
    char text[SW_ERROR_TEXT_SIZE]; /* Terminated text for people, names the object concerned. */
} sw_error;

/* Fills err (unless NULL) and returns code, so that `return sw_error_set(...)` reads well.
 * The arguments may point into err->text. */
int sw_error_set(sw_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As sw_error_set, with the code that stands for errno_value and ": <system's text>" behind the text. */
int sw_error_errno(sw_error *err, int errno_value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts context and ": " before the text already there; err may be NULL. */
void sw_error_prepend(sw_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The code's identifier ("SW_EIO"), or "SW_E?" for a number that is no code. */
const char *sw_error_name(int code);

/* What the code means in general ("input/output error"), for failures that carry no text. */
const char *sw_error_meaning(int code);

/* Prints "file:line: assertion failed: condition" to standard error and aborts. */
void sw_assert_fail(const char *condition, const char *file, int line) __attribute__((noreturn, cold));

/* A violated SW_ASSERT is a bug in swlua; it stays in release builds. */
#define SW_ASSERT(cond) (__builtin_expect(!!(cond), 1) ? (void)0 : sw_assert_fail(#cond, __FILE__, __LINE__))

/* For checks too costly for the hot path of a release. */
#ifdef NDEBUG
#define SW_DASSERT(cond) ((void)sizeof(!!(cond)))
#else
#define SW_DASSERT(cond) SW_ASSERT(cond)
#endif

#ifdef __cplusplus
}
#endif

#endif
