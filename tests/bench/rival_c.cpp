/* rival_c.cpp -- what swlua is measured against: the same work by hand, on one thread.
 *
 *     rival_c q0|q1|q2|count INPUT OUTPUT     JSON lines to JSON lines
 *     rival_c memory|chain EVENTS [OUTPUT]    generated events, nothing read
 *     rival_c count_memory EVENTS KEYS [OUTPUT]
 *
 * Those in memory print how many rows came out and a checksum of them; OUTPUT
 * has the rows written, to compare them with another program's. */
#include "lines.hpp"
#include <charconv>
#include <cinttypes>
#include <cstdint>
#include <string>
#include <sys/mman.h>
#include <vector>

using namespace simdjson;

static constexpr int64_t BASE_MS = 1436918400000;

/* Buffered output: room() makes sure that a row fits, put() does not look. */
class row_writer {
  public:
    explicit row_writer(const char *path) : fd_(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644))
    {
        if (fd_ < 0) fail(path);
        buffer_.resize(CHUNK_BYTES);
    }
    ~row_writer()
    {
        flush();
        close(fd_);
    }
    row_writer(const row_writer &) = delete;
    row_writer &operator=(const row_writer &) = delete;

    void room(size_t text_bytes)
    {
        size_t row = text_bytes + ROW_BYTES;
        if (used_ + row <= buffer_.size()) return;
        flush();
        if (row > buffer_.size()) buffer_.resize(row);
    }
    void put(std::string_view text)
    {
        memcpy(&buffer_[used_], text.data(), text.size());
        used_ += text.size();
    }
    template <typename number> void put_number(number value)
    {
        char *at = &buffer_[used_];
        used_ += static_cast<size_t>(std::to_chars(at, at + NUMBER_BYTES, value).ptr - at);
    }

  private:
    static constexpr size_t CHUNK_BYTES = 256 * 1024;
    static constexpr size_t ROW_BYTES = 512; /* more than names and numbers of any row here */
    static constexpr size_t NUMBER_BYTES = 32;

    void flush()
    {
        for (size_t done = 0; done < used_;) {
            ssize_t n = write(fd_, &buffer_[done], used_ - done);
            if (n < 0) fail("write");
            done += static_cast<size_t>(n);
        }
        used_ = 0;
    }

    int fd_;
    std::vector<char> buffer_;
    size_t used_ = 0;
};

/* Counts per key, open addressing; a slot whose n is 0 is free. */
struct key_count {
    int64_t key;
    int64_t n;
    double sum;
};

class key_counts {
  public:
    explicit key_counts(size_t keys)
    {
        while ((size_t{ 1 } << (64 - shift_)) < 2 * keys) shift_--;
        slots_ = empty_table(size_t{ 1 } << (64 - shift_));
    }
    key_count &at(int64_t key)
    {
        size_t i = find(key);
        if (slots_[i].n == 0) {
            if (++used_ * 2 > slots_.size()) {
                grow();
                i = find(key);
            }
            slots_[i].key = key;
        }
        return slots_[i];
    }

  private:
    size_t find(int64_t key) const
    {
        size_t i = (static_cast<uint64_t>(key) * 0x9E3779B97F4A7C15u) >> shift_;
        while (slots_[i].n != 0 && slots_[i].key != key) i = (i + 1) & (slots_.size() - 1);
        return i;
    }
    /* In huge pages where the system has them: a large table else misses the TLB too. */
    static std::vector<key_count> empty_table(size_t slots)
    {
        constexpr uintptr_t PAGE_BYTES = 4096;
        std::vector<key_count> table;
        table.reserve(slots);
        uintptr_t start = reinterpret_cast<uintptr_t>(table.data()) & ~(PAGE_BYTES - 1);
        madvise(reinterpret_cast<void *>(start), slots * sizeof(key_count), MADV_HUGEPAGE);
        table.resize(slots);
        return table;
    }
    void grow()
    {
        std::vector<key_count> old = empty_table(slots_.size() * 2);
        old.swap(slots_);
        shift_--;
        for (const key_count &entry : old)
            if (entry.n != 0) slots_[find(entry.key)] = entry;
    }

    std::vector<key_count> slots_;
    int shift_ = 64 - 4; /* the hash's upper bits are the slot */
    size_t used_ = 0;
};

/* -- JSON lines ---------------------------------------------------------- */

/* Calls row(object) with every bid, past its type and ts. Fields are asked for in
 * the order they usually have; another order costs time, not correctness. */
template <typename function> static void each_bid(const char *input, function row)
{
    line_reader reader(input);
    ondemand::parser parser;
    std::string_view line;
    while (reader.next(line)) {
        ondemand::document document = parser.iterate(reader.padded(line));
        ondemand::object object = document.get_object();
        std::string_view type = object["type"].value().raw_json_token();
        if (type.substr(0, 5) == "\"bid\"") row(object);
    }
}

static std::string_view raw_string(ondemand::object &object, const char *name)
{
    std::string_view token = object[name].value().raw_json_token();
    if (token.front() != '"') throw simdjson_error(INCORRECT_TYPE);
    return token.substr(0, token.rfind('"') + 1); /* White space may follow the token. */
}

/* q0 and q1: every bid, its price as `convert` makes it. */
template <typename function> static void pass_bids(const char *input, const char *output, function convert)
{
    row_writer out(output);
    each_bid(input, [&](ondemand::object &bid) {
        int64_t ts = bid["ts"], auction = bid["auction"], bidder = bid["bidder"], price = bid["price"];
        std::string_view extra = raw_string(bid, "extra");
        out.room(extra.size());
        out.put("{\"auction\":");
        out.put_number(auction);
        out.put(",\"bidder\":");
        out.put_number(bidder);
        out.put(",\"price\":");
        out.put_number(convert(price));
        out.put(",\"dateTime\":");
        out.put_number(ts);
        out.put(",\"extra\":");
        out.put(extra);
        out.put("}\n");
    });
}

static void select_auctions(const char *input, const char *output)
{
    row_writer out(output);
    each_bid(input, [&](ondemand::object &bid) {
        int64_t auction = bid["auction"];
        if (auction % 123 != 0) return;
        int64_t price = bid["price"];
        out.room(0);
        out.put("{\"auction\":");
        out.put_number(auction);
        out.put(",\"price\":");
        out.put_number(price);
        out.put("}\n");
    });
}

static void count_bidders(const char *input, const char *output)
{
    row_writer out(output);
    key_counts counts(16);
    each_bid(input, [&](ondemand::object &bid) {
        int64_t bidder = bid["bidder"];
        out.room(0);
        out.put("{\"bidder\":");
        out.put_number(bidder);
        out.put(",\"n\":");
        out.put_number(++counts.at(bidder).n);
        out.put("}\n");
    });
}

/* -- In memory ----------------------------------------------------------- */

struct bid_event {
    int64_t id, auction, bidder;
    double price;
    int64_t ts;
};

/* A pseudo-random number below 2^31 made of i; every step is exact in a Lua number too. */
static uint32_t scramble(uint32_t i)
{
    i = (i ^ (i >> 15)) * 461845u;
    return (i ^ (i >> 13)) & 0x7FFFFFFF;
}

static bid_event generate_bid(int64_t i)
{
    uint32_t a = scramble(static_cast<uint32_t>(i)), b = scramble(a), c = scramble(b);
    return { i, 1000 + (a & 4095), 1000 + (b & 8191), 100.0 + (c & 0xFFFFFF), BASE_MS + i };
}

struct totals {
    uint64_t rows = 0, checksum = 0;

    void add(int64_t key, double value)
    {
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        checksum = checksum * 31 + (static_cast<uint64_t>(key) ^ bits);
        rows++;
    }
    void print() const
    {
        printf("%" PRIu64 " %016" PRIx64 "\n", rows, checksum);
    }
};

static void write_bid(row_writer &out, const bid_event &bid)
{
    out.room(0);
    out.put("{\"id\":");
    out.put_number(bid.id);
    out.put(",\"auction\":");
    out.put_number(bid.auction);
    out.put(",\"bidder\":");
    out.put_number(bid.bidder);
    out.put(",\"price\":");
    out.put_number(bid.price);
    out.put(",\"ts\":");
    out.put_number(bid.ts);
    out.put("}\n");
}

/* Generates, has `step` change or drop each event, and hands what is left to `sink`. */
template <typename function, typename consumer> static void run_bids(int64_t events, function step, consumer sink)
{
    totals sum;
    for (int64_t i = 1; i <= events; i++) {
        bid_event bid = generate_bid(i);
        if (!step(bid)) continue;
        sum.add(bid.id ^ bid.auction ^ bid.bidder ^ bid.ts, bid.price);
        sink(bid);
    }
    sum.print();
}

template <typename function> static void run_or_write(int64_t events, const char *output, function step)
{
    if (output == nullptr) return run_bids(events, step, [](const bid_event &) {});
    row_writer out(output);
    run_bids(events, step, [&](const bid_event &bid) { write_bid(out, bid); });
}

static bool filter_map(bid_event &bid)
{
    if (bid.auction % 123 == 0) return false;
    bid.price = bid.price * 0.908;
    return true;
}

static bool map_filter_map(bid_event &bid)
{
    bid.price = bid.price * 0.908;
    if (bid.price <= 1000000) return false;
    bid.price = bid.price + 250;
    return true;
}

static void count_memory(int64_t events, int64_t keys, const char *output)
{
    key_counts counts(static_cast<size_t>(keys));
    totals sum;
    auto count = [&](int64_t i) -> key_count & {
        key_count &entry = counts.at(scramble(static_cast<uint32_t>(i)) % static_cast<uint32_t>(keys));
        entry.n++;
        entry.sum += static_cast<double>(i);
        sum.add(entry.key ^ entry.n, entry.sum);
        return entry;
    };
    if (output == nullptr) {
        for (int64_t i = 1; i <= events; i++) count(i);
        return sum.print();
    }
    row_writer out(output);
    for (int64_t i = 1; i <= events; i++) {
        const key_count &entry = count(i);
        out.room(0);
        out.put("{\"key\":");
        out.put_number(entry.key);
        out.put(",\"n\":");
        out.put_number(entry.n);
        out.put(",\"sum\":");
        out.put_number(entry.sum);
        out.put("}\n");
    }
    sum.print();
}

static int usage()
{
    fputs("usage: rival_c q0|q1|q2|count INPUT OUTPUT\n"
          "       rival_c memory|chain EVENTS [OUTPUT]\n"
          "       rival_c count_memory EVENTS KEYS [OUTPUT]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 3) return usage();
    std::string name = argv[1];
    const char *third = argc > 3 ? argv[3] : nullptr, *fourth = argc > 4 ? argv[4] : nullptr;
    try {
        if (name == "memory") run_or_write(atoll(argv[2]), third, filter_map);
        else if (name == "chain") run_or_write(atoll(argv[2]), third, map_filter_map);
        else if (third == nullptr) return usage();
        else if (name == "count_memory") count_memory(atoll(argv[2]), atoll(third), fourth);
        else if (name == "q0") pass_bids(argv[2], third, [](int64_t price) { return price; });
        else if (name == "q1")
            pass_bids(argv[2], third, [](int64_t price) { return 0.908 * static_cast<double>(price); });
        else if (name == "q2") select_auctions(argv[2], third);
        else if (name == "count") count_bidders(argv[2], third);
        else return usage();
    } catch (const simdjson_error &error) {
        fprintf(stderr, "rival_c: %s\n", error.what());
        return 1;
    }
    return 0;
}
