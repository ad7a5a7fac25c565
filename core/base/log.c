#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define WHO_MAX 256                         /* Bytes of `who` that are shown. */
#define LINE_MAX_SIZE (2 * SW_LOG_TEXT_MAX) /* JSON escapes can make a text longer, and then it is cut. */
#define LINE_TAIL 32                        /* Kept free for what closes the line. */

typedef struct line {
    size_t size;              /* Bytes in use. */
    char data[LINE_MAX_SIZE]; /* The line so far, not terminated. */
} line;

static sw_log_level max_level = SW_LOG_INFO; /* Levels above are dropped; set before threads start. */
static bool as_json;                         /* JSON lines instead of text; set before threads start. */

void sw_log_configure(sw_log_level level, bool json)
{
    max_level = level;
    as_json = json;
}

static void put(line *l, const char *bytes, size_t n)
{
    memcpy(l->data + l->size, bytes, n);
    l->size += n;
}

static void put_str(line *l, const char *text)
{
    put(l, text, strlen(text));
}

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Length of the valid UTF-8 sequence at s (terminated by NUL), or 0. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || !is_continuation(s[1])) return 0;
    if (s[0] < 0xe0) return 2;
    if (!is_continuation(s[2])) return 0;
    if (s[0] < 0xf0) {
        bool overlong = s[0] == 0xe0 && s[1] < 0xa0;
        bool surrogate = s[0] == 0xed && s[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    bool overlong = s[0] == 0xf0 && s[1] < 0x90;
    bool too_large = s[0] == 0xf4 && s[1] > 0x8f;
    return !is_continuation(s[3]) || overlong || too_large ? 0 : 4;
}

/* One character as it stands in a JSON string; returns the bytes of s it took. */
static size_t put_json_char(line *l, const unsigned char *s)
{
    char escape[8];
    size_t length = utf8_length(s);
    if (length == 0) {
        put_str(l, "\xef\xbf\xbd"); /* U+FFFD */
        return 1;
    }
    if (s[0] == '"' || s[0] == '\\') {
        put(l, "\\", 1);
    } else if (s[0] == '\n') {
        put_str(l, "\\n");
        return 1;
    } else if (s[0] < 0x20) {
        snprintf(escape, sizeof(escape), "\\u%04x", s[0]);
        put_str(l, escape);
        return 1;
    }
    put(l, (const char *)s, length);
    return length;
}

static void put_json_string(line *l, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    put(l, "\"", 1);
    while (*s != '\0' && l->size < LINE_MAX_SIZE - LINE_TAIL) s += put_json_char(l, s);
    if (*s != '\0') put_str(l, "...");
    put(l, "\"", 1);
}

static void format_json(line *l, int64_t now_ms, sw_log_level level, const char *who, const char *text)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    l->size = (size_t)snprintf(l->data, sizeof(l->data), "{\"ts\":%lld,\"level\":\"%s\",\"who\":", (long long)now_ms,
                               names[level]);
    put_json_string(l, who);
    put_str(l, ",\"text\":");
    put_json_string(l, text);
    put_str(l, "}\n");
}

static void format_text(line *l, int64_t now_ms, sw_log_level level, const char *who, const char *text)
{
    static const char *const names[] = { "ERROR", "WARN ", "INFO ", "DEBUG" };
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);
    l->size = (size_t)snprintf(l->data, sizeof(l->data), "%02d:%02d:%02d.%03d %s %s: %s\n", local.tm_hour, local.tm_min,
                               local.tm_sec, (int)(now_ms % 1000), names[level], who, text);
}

/* One write for the whole line; only what a pipe or a signal cut off needs another. */
static void write_line(const line *l)
{
    size_t done = 0;
    while (done < l->size) {
        ssize_t n = write(STDERR_FILENO, l->data + done, l->size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        done += (size_t)n;
    }
}

void sw_log(sw_log_level level, const char *who, const char *fmt, ...)
{
    char text[SW_LOG_TEXT_MAX];
    char short_who[WHO_MAX];
    line l;
    va_list args;
    if (level > max_level) return;
    int saved_errno = errno; /* Logging is no reason for a caller to lose it. */
    va_start(args, fmt);
    int length = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (length >= (int)sizeof(text)) memcpy(text + sizeof(text) - 4, "...", 4);
    snprintf(short_who, sizeof(short_who), "%s", who);
    (as_json ? format_json : format_text)(&l, sw_clock_wall_ms(sw_clock_real()), level, short_who, text);
    write_line(&l);
    errno = saved_errno;
}

bool sw_log_limit(sw_log_limiter *l, int64_t now_ms, unsigned per_second)
{
    int64_t second = now_ms / 1000;
    if (second != l->second) {
        l->second = second;
        l->passed = 0;
    }
    if (l->passed < per_second) {
        l->passed++;
        return true;
    }
    l->suppressed++;
    return false;
}
