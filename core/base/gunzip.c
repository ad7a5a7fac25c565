#include "base/gunzip.h"

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "base/alloc.h"

#define INPUT_SIZE 65536
#define GZIP_ONLY (MAX_WBITS + 16) /* zlib: expect a gzip header and check its CRC. */

struct sw_gunzip {
    z_stream z;                /* The decompressor; next_in points into input. */
    sw_gunzip_source source;   /* Where compressed bytes come from. */
    void *context;             /* Handed to source. */
    bool in_member;            /* Inside a member: the input must not end here. */
    int failure;               /* Z_OK, or why decompression cannot go on. */
    uint8_t input[INPUT_SIZE]; /* Compressed bytes read and not yet used. */
};

static void *zlib_alloc(void *opaque, unsigned n, unsigned size)
{
    (void)opaque;
    return sw_calloc(n, size);
}

static void zlib_free(void *opaque, void *p)
{
    (void)opaque;
    sw_free(p);
}

sw_gunzip *sw_gunzip_new(sw_gunzip_source source, void *context)
{
    sw_gunzip *g = sw_calloc(1, sizeof(*g));
    if (g == NULL) return NULL;
    g->source = source;
    g->context = context;
    g->in_member = true; /* An empty file is no gzip file. */
    g->z.zalloc = zlib_alloc;
    g->z.zfree = zlib_free;
    if (inflateInit2(&g->z, GZIP_ONLY) == Z_OK) return g;
    sw_free(g);
    return NULL;
}

void sw_gunzip_free(sw_gunzip *g)
{
    if (g == NULL) return;
    inflateEnd(&g->z);
    sw_free(g);
}

/* Makes input available: 1, or 0 at the end of the file, or a negative code. */
static int fill(sw_gunzip *g, sw_error *err)
{
    if (g->z.avail_in > 0) return 1;
    ssize_t n = g->source(g->context, g->input, sizeof(g->input), err);
    if (n < 0) return (int)n;
    if (n == 0) return g->in_member ? sw_error_set(err, SW_EFORMAT, "gzip data is cut short") : 0;
    g->z.next_in = g->input;
    g->z.avail_in = (unsigned)n;
    return 1;
}

/* Between members: skips padding, and begins the next member where a byte other than zero stands. */
static void seek_member(sw_gunzip *g)
{
    while (g->z.avail_in > 0 && *g->z.next_in == 0) {
        g->z.next_in++;
        g->z.avail_in--;
    }
    if (g->z.avail_in == 0) return;
    inflateReset(&g->z);
    g->in_member = true;
}

static int failure_error(const sw_gunzip *g, sw_error *err)
{
    if (g->failure == Z_MEM_ERROR) return sw_error_set(err, SW_ENOMEM, "out of memory");
    return sw_error_set(err, SW_EFORMAT, "gzip data is damaged: %s", g->z.msg != NULL ? g->z.msg : "unusable");
}

static void inflate_some(sw_gunzip *g)
{
    int rc = inflate(&g->z, Z_NO_FLUSH);
    if (rc == Z_STREAM_END) {
        g->in_member = false;
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) { /* Z_BUF_ERROR asks for more input. */
        g->failure = rc;
    }
}

/* What was decompressed before a failure is delivered first; the failure is reported by the next call. */
ssize_t sw_gunzip_read(sw_gunzip *g, void *buf, size_t n, sw_error *err)
{
    unsigned room = n < INT32_MAX ? (unsigned)n : INT32_MAX;
    g->z.next_out = buf;
    g->z.avail_out = room;
    while (g->z.avail_out == room) {
        if (g->failure != Z_OK) return failure_error(g, err);
        int rc = fill(g, err);
        if (rc <= 0) return rc;
        if (!g->in_member) seek_member(g);
        if (g->in_member) inflate_some(g);
    }
    return (ssize_t)(room - g->z.avail_out);
}
