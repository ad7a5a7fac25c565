#include "io/json_write.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/num.h"
#include "io/json_index.h"

#define PIECE 4096u                  /* Bytes of text for which room is made at once. */
#define EXACT_MAX 9007199254740992.0 /* 2^53: beyond it an integer and a double are different things. */
#define ESCAPED_MAX 6u               /* \u0001 */

_Static_assert(SW_JSON_NUMBER_SIZE >= SW_NUM_TEXT_SIZE + 2, "\".0\" may be appended to a number");

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

#define EVERY_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Bytes with their high bit set are not ASCII; the others are set where a byte has to be escaped. The trick
 * for bytes below a limit can also mark bytes behind the first that it marks rightly: it is exact about
 * whether there is one. */
static inline uint64_t marks8(uint64_t word)
{
    uint64_t quote = word ^ EVERY_BYTE('"');
    uint64_t backslash = word ^ EVERY_BYTE('\\');
    uint64_t found = ((word - EVERY_BYTE(0x20)) & ~word) | ((quote - EVERY_BYTE(1)) & ~quote) |
                     ((backslash - EVERY_BYTE(1)) & ~backslash);
    return (found | word) & EVERY_BYTE(0x80);
}

static inline uint64_t marks16(const uint8_t *p)
{
    const bytes16 quote = { '"', '"', '"', '"', '"', '"', '"', '"', '"', '"', '"', '"', '"', '"', '"', '"' };
    const bytes16 backslash = { '\\', '\\', '\\', '\\', '\\', '\\', '\\', '\\',
                                '\\', '\\', '\\', '\\', '\\', '\\', '\\', '\\' };
    const bytes16 space = { ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ' };
    const bytes16 top = {
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80
    };
    bytes16 block;
    memcpy(&block, p, sizeof(block));
    words2 found = (words2)((block == quote) | (block == backslash) | (block < space) | (block >= top));
    return found[0] | found[1];
}

#define COPY_SLACK 8u /* Bytes that copy_plain may overwrite behind the text. */

/* Copies text of nothing but ASCII that needs no escape; false when it is something else. The last block
 * overlaps the one before it, so that no byte beyond the text is read. */
static bool copy_plain(uint8_t *to, const uint8_t *text, size_t len)
{
    uint64_t found = 0;
    if (len >= 16) {
        for (size_t at = 0; at < len - 16; at += 16) {
            found |= marks16(text + at);
            memcpy(to + at, text + at, 16);
        }
        found |= marks16(text + len - 16);
        memcpy(to + len - 16, text + len - 16, 16);
        return found == 0;
    }
    uint64_t first = 0;
    uint64_t last = 0;
    if (len >= 8) {
        memcpy(&first, text, 8);
        memcpy(&last, text + len - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + len - 8, &last, 8);
        return (marks8(first) | marks8(last)) == 0;
    }
    first = sw_load_short(text, len) | EVERY_BYTE('x') << (8 * len); /* Behind the text what needs no escape. */
    memcpy(to, &first, 8);
    return marks8(first) == 0;
}

static uint8_t *escape(uint8_t *to, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    *to++ = '\\';
    switch (c) {
    case '"': *to++ = '"'; break;
    case '\\': *to++ = '\\'; break;
    case '\b': *to++ = 'b'; break;
    case '\f': *to++ = 'f'; break;
    case '\n': *to++ = 'n'; break;
    case '\r': *to++ = 'r'; break;
    case '\t': *to++ = 't'; break;
    default:
        memcpy(to, "u00", 3);
        to[3] = (uint8_t)digits[c >> 4];
        to[4] = (uint8_t)digits[c & 15];
        to += 5;
    }
    return to;
}

static uint8_t *copy_escaped(uint8_t *to, const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            to = escape(to, c);
        } else {
            *to++ = c;
        }
    }
    return to;
}

static int out_of_memory(sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

/* The way of text that is not plain: room for the worst case is made piece by piece. */
static int write_special(sw_buf *out, const uint8_t *text, size_t len, sw_error *err)
{
    if (!sw_utf8_is_valid(text, len)) return sw_error_set(err, SW_EFORMAT, "text that is not UTF-8 has no JSON form");
    for (size_t at = 0; at < len; at += PIECE) {
        size_t n = len - at < PIECE ? len - at : PIECE;
        if (sw_buf_reserve(out, n * ESCAPED_MAX) != SW_OK) return out_of_memory(err);
        out->size = (size_t)(copy_escaped(out->data + out->size, text + at, n) - out->data);
    }
    return SW_OK;
}

int sw_json_write_string(sw_buf *out, const char *text, size_t len, sw_error *err)
{
    if (sw_buf_reserve(out, len + 2 + COPY_SLACK) != SW_OK) return out_of_memory(err);
    uint8_t *to = out->data + out->size;
    *to = '"';
    if (copy_plain(to + 1, (const uint8_t *)text, len)) {
        to[len + 1] = '"';
        out->size += len + 2;
        return SW_OK;
    }
    out->size++;
    int rc = write_special(out, (const uint8_t *)text, len, err);
    if (rc == SW_OK && sw_buf_append(out, "\"", 1) != SW_OK) rc = out_of_memory(err);
    return rc;
}

int sw_json_write_key(sw_buf *out, char before, const char *key, size_t len, sw_error *err)
{
    if (sw_buf_reserve(out, len + 4 + COPY_SLACK) != SW_OK) return out_of_memory(err);
    uint8_t *to = out->data + out->size;
    to[0] = (uint8_t)before;
    to[1] = '"';
    if (copy_plain(to + 2, (const uint8_t *)key, len)) {
        memcpy(to + 2 + len, "\":", 2);
        out->size += len + 4;
        return SW_OK;
    }
    out->size++;
    int rc = sw_json_write_string(out, key, len, err);
    if (rc == SW_OK && sw_buf_append(out, ":", 1) != SW_OK) rc = out_of_memory(err);
    return rc;
}

/* Large whole doubles may come as digits alone, which would be read back as an integer, or as one beyond 64
 * bits. */
static size_t mark_real(char *text, size_t len)
{
    if (memchr(text, 'e', len) != NULL || memchr(text, '.', len) != NULL) return len;
    memcpy(text + len, ".0", 2);
    return len + 2;
}

size_t sw_json_format_double(char *out, double value)
{
    size_t len = sw_num_format_double(out, value);
    return fabs(value) > EXACT_MAX ? mark_real(out, len) : len;
}

int sw_json_write_double(sw_buf *out, double value, sw_error *err)
{
    if (!isfinite(value))
        return sw_error_set(err, SW_EFORMAT, "%s has no JSON form", isnan(value) ? "NaN" : "infinity");
    if (sw_buf_reserve(out, SW_JSON_NUMBER_SIZE) != SW_OK) return out_of_memory(err);
    out->size += sw_json_format_double((char *)out->data + out->size, value);
    return SW_OK;
}
