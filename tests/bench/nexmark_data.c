/* nexmark_data.c -- writes a NEXMark event stream as JSON lines.
 *
 *     nexmark_data EVENTS SEED RATE > bids.jsonl
 *
 * Event number n decides the kind: of 50 events one is a person, three are
 * auctions, 46 are bids. Event n has time BASE_MS + n * 1000 / RATE, so the
 * stream is in order. Equal arguments give equal bytes. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PERIOD = 50,             /* events in which the kinds repeat */
    AUCTIONS_PER_PERIOD = 3, /* after the one person */
    FIRST_ID = 1000,         /* of persons and of auctions */
    FIRST_CATEGORY = 10,
    CATEGORIES = 5,
    BATCH = 100,          /* ids that share a hot seller, bidder or auction */
    ACTIVE_PEOPLE = 1000, /* newest persons that still act */
    OLD_AUCTIONS = 100,   /* bids reach so far back */
    AHEAD = 10,           /* ids that may be referred to before they exist */
    IN_FLIGHT_EVENTS = BATCH * PERIOD / AUCTIONS_PER_PERIOD,
    CHANNELS = 10000,
    URL_BYTES = 96,
    LINE_BYTES = 2048,
    BUFFER_BYTES = 1 << 20
};
static const int64_t BASE_MS = 1436918400000; /* 2015-07-15T00:00:00Z */

static const char *const FIRST_NAMES[] = { "Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                           "Kate",  "Julie", "Sarah", "Deiter", "Walter" };
static const char *const LAST_NAMES[] = { "Shultz", "Abrams", "Spencer", "White", "Bartels",
                                          "Walton", "Smith",  "Jones",   "Noris" };
static const char *const CITIES[] = { "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
                                      "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne" };
static const char *const STATES[] = { "AZ", "CA", "ID", "OR", "WA", "WY" };
static const char *const HOT_CHANNELS[] = { "Google", "Facebook", "Baidu", "Apple" };
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PICK(array) ((array)[below(COUNT_OF(array))])

static uint64_t rng_state;                    /* splitmix64 */
static int64_t rate_per_s;                    /* events a second of event time */
static char channel_url[CHANNELS][URL_BYTES]; /* fixed for the whole stream */
static char hot_url[COUNT_OF(HOT_CHANNELS)][URL_BYTES];
static char buffer[BUFFER_BYTES]; /* output not yet written */
static size_t used;               /* bytes in buffer */

static uint64_t next_random(void)
{
    uint64_t z = (rng_state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int64_t below(int64_t limit)
{
    return (int64_t)(((next_random() >> 32) * (uint64_t)limit) >> 32);
}

static void flush(void)
{
    if (fwrite(buffer, 1, used, stdout) != used) {
        perror("nexmark_data: standard output");
        exit(1);
    }
    used = 0;
}

static void put_text(const char *text)
{
    size_t size = strlen(text);
    memcpy(buffer + used, text, size);
    used += size;
}

static void put_int(int64_t value)
{
    char digits[20];
    size_t n = 0;
    do digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (n > 0) buffer[used++] = digits[--n];
}

static void put_letters(int64_t n)
{
    uint64_t bits = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i % 8 == 0) bits = next_random(); /* Each letter takes a byte of the draw. */
        buffer[used++] = (char)('a' + (((bits & 0xFF) * 26) >> 8));
        bits >>= 8;
    }
}

/* Fills `text` with 3 to limit - 1 letters, one in 13 of them `gap`. */
static void random_word(char *text, int64_t limit, char gap)
{
    int64_t n = 3 + below(limit - 3);
    for (int64_t i = 0; i < n; i++) text[i] = below(13) == 0 ? gap : (char)('a' + below(26));
    text[n] = '\0';
}

static void random_url(char *url)
{
    char d1[8], d2[8], d3[8];
    random_word(d1, 5, '_');
    random_word(d2, 5, '_');
    random_word(d3, 5, '_');
    snprintf(url, URL_BYTES, "https://www.nexmark.com/%s/%s/%s/item.htm?query=1", d1, d2, d3);
}

static void make_urls(void)
{
    for (size_t i = 0; i < COUNT_OF(HOT_CHANNELS); i++) random_url(hot_url[i]);
    for (int i = 0; i < CHANNELS; i++) {
        random_url(channel_url[i]);
        size_t size = strlen(channel_url[i]);
        if (below(10) > 0)
            snprintf(channel_url[i] + size, URL_BYTES - size, "&channel_id=%lld", (long long)below(INT32_MAX));
    }
}

/* Pads a record of `size` bytes to `average` bytes, give or take a fifth of the padding. */
static void put_extra(int64_t size, int64_t average)
{
    int64_t missing = average - size;
    put_text(",\"extra\":\"");
    if (missing > 0) {
        int64_t spread = (missing + 2) / 5;
        put_letters(missing - spread + (spread > 0 ? below(2 * spread) : 0));
    }
    put_text("\"}\n");
}

static int64_t time_ms(int64_t n)
{
    return BASE_MS + n * 1000 / rate_per_s;
}

static int64_t random_price(void)
{
    double u = (double)(next_random() >> 11) * 0x1p-53;
    return llround(100 * pow(10, 6 * u));
}

static int64_t last_person(int64_t n)
{
    return n / PERIOD;
}

static int64_t last_auction(int64_t n)
{
    int64_t offset = n % PERIOD, before = n / PERIOD * AUCTIONS_PER_PERIOD;
    return before + (offset < AUCTIONS_PER_PERIOD ? offset : AUCTIONS_PER_PERIOD) - 1;
}

static int64_t active_person(int64_t n)
{
    int64_t people = last_person(n) + 1;
    int64_t active = people < ACTIVE_PEOPLE ? people : ACTIVE_PEOPLE;
    return FIRST_ID + people - active + below(active + AHEAD);
}

static int64_t hot_person(int64_t n, int64_t place)
{
    return FIRST_ID + last_person(n) / BATCH * BATCH + place;
}

static int64_t auction_of_bid(int64_t n)
{
    int64_t last = last_auction(n);
    int64_t oldest = last > OLD_AUCTIONS ? last - OLD_AUCTIONS : 0;
    if (below(2) > 0) return FIRST_ID + last / BATCH * BATCH;
    return FIRST_ID + oldest + below(last - oldest + 1 + AHEAD);
}

static void put_field(const char *name, int64_t value)
{
    put_text(name);
    put_int(value);
}

static void put_string(const char *name, const char *value)
{
    put_text(name);
    put_text(value);
    buffer[used++] = '"';
}

static void put_person(int64_t n)
{
    char name[32], user[8], host[8], email[32], card[32];
    const char *city = PICK(CITIES), *state = PICK(STATES), *first = PICK(FIRST_NAMES);
    snprintf(name, sizeof(name), "%s %s", first, PICK(LAST_NAMES));
    random_word(user, 7, '_');
    random_word(host, 5, '_');
    snprintf(email, sizeof(email), "%s@%s.com", user, host);
    snprintf(card, sizeof(card), "%04d %04d %04d %04d", (int)below(10000), (int)below(10000), (int)below(10000),
             (int)below(10000));
    put_field("{\"type\":\"person\",\"ts\":", time_ms(n));
    put_field(",\"id\":", FIRST_ID + last_person(n));
    put_string(",\"name\":\"", name);
    put_string(",\"emailAddress\":\"", email);
    put_string(",\"creditCard\":\"", card);
    put_string(",\"city\":\"", city);
    put_string(",\"state\":\"", state);
    put_extra(8 + (int64_t)(strlen(name) + strlen(email) + strlen(card) + strlen(city) + strlen(state)), 200);
}

static void put_auction(int64_t n)
{
    char item[20], description[100];
    int64_t bid = random_price(), now_ms = time_ms(n);
    int64_t horizon_ms = time_ms(n + IN_FLIGHT_EVENTS) - now_ms;
    random_word(item, sizeof(item), ' ');
    random_word(description, sizeof(description), ' ');
    put_field("{\"type\":\"auction\",\"ts\":", now_ms);
    put_field(",\"id\":", FIRST_ID + last_auction(n));
    put_string(",\"itemName\":\"", item);
    put_string(",\"description\":\"", description);
    put_field(",\"initialBid\":", bid);
    put_field(",\"reserve\":", bid + random_price());
    put_field(",\"expires\":", now_ms + 1 + below(horizon_ms > 0 ? 2 * horizon_ms : 1));
    put_field(",\"seller\":", below(4) > 0 ? hot_person(n, 0) : active_person(n));
    put_field(",\"category\":", FIRST_CATEGORY + below(CATEGORIES));
    put_extra(8 + (int64_t)(strlen(item) + strlen(description)) + 5 * 8, 500);
}

static void put_bid(int64_t n)
{
    int64_t hot = below(COUNT_OF(HOT_CHANNELS)), cold = below(CHANNELS);
    put_field("{\"type\":\"bid\",\"ts\":", time_ms(n));
    put_field(",\"auction\":", auction_of_bid(n));
    put_field(",\"bidder\":", below(4) > 0 ? hot_person(n, 1) : active_person(n));
    put_field(",\"price\":", random_price());
    if (below(2) > 0) {
        put_string(",\"channel\":\"", HOT_CHANNELS[hot]);
        put_string(",\"url\":\"", hot_url[hot]);
    } else {
        put_field(",\"channel\":\"channel-", cold);
        put_string("\",\"url\":\"", channel_url[cold]);
    }
    put_extra(4 * 8, 100);
}

int main(int argc, char **argv)
{
    if (argc != 4 || (rate_per_s = atoll(argv[3])) <= 0) {
        fprintf(stderr, "usage: nexmark_data EVENTS SEED RATE > FILE\n");
        return 2;
    }
    int64_t events = atoll(argv[1]);
    rng_state = strtoull(argv[2], NULL, 10);
    make_urls();
    for (int64_t n = 0; n < events; n++) {
        int64_t place = n % PERIOD;
        if (used + LINE_BYTES > BUFFER_BYTES) flush();
        if (place == 0) put_person(n);
        else if (place <= AUCTIONS_PER_PERIOD) put_auction(n);
        else put_bid(n);
    }
    flush();
    if (fflush(stdout) != 0) {
        perror("nexmark_data: standard output");
        return 1;
    }
    return 0;
}
