/* log.h -- lines to standard error, for people or as JSON.
 *
 *     text:  14:03:59.120 WARN  fraud/score#1: text
 *     json:  {"ts":1700000000123,"level":"warn","who":"fraud/score#1","text":"text"}
 *
 * Ownership  nothing is kept from the arguments.
 * Threads    any; each line is one write(2), so lines do not interleave. Configure before threads start.
 * Limits     a text is cut at SW_LOG_TEXT_MAX bytes and then ends in "...". Text form is in local time and
 *            keeps line breaks; JSON has epoch milliseconds and replaces invalid UTF-8 by U+FFFD. */
#ifndef SW_BASE_LOG_H
#define SW_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SW_LOG_TEXT_MAX 8192

typedef enum sw_log_level { SW_LOG_ERROR, SW_LOG_WARN, SW_LOG_INFO, SW_LOG_DEBUG } sw_log_level;

/* Lets through the levels up to this one (SW_LOG_INFO at first), as JSON or as text (at first). */
void sw_log_configure(sw_log_level level, bool json);

/* Writes one line; who names the part that speaks ("job/operator#instance"). Failures to write are ignored. */
void sw_log(sw_log_level level, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Rate limit of one place that logs; zero it to begin. */
typedef struct sw_log_limiter {
    int64_t second;      /* The second (now_ms / 1000) that passed counts for. */
    unsigned passed;     /* Lines let through in that second. */
    uint64_t suppressed; /* Lines refused; who reports the number sets it back to 0. */
} sw_log_limiter;

/* True when a line may be written now: at most per_second of them in each second of the given clock. */
bool sw_log_limit(sw_log_limiter *l, int64_t now_ms, unsigned per_second);

#ifdef __cplusplus
}
#endif

#endif
