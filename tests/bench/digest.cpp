/* digest.cpp -- says whether two JSONL files hold the same rows in any order.
 *
 *     digest FILE        prints: ROWS HEX
 *
 * The digest is a sum over rows of a hash that does not depend on the order of
 * fields. A null field counts as absent; numbers are equal when their first 14
 * digits are. */
#include "lines.hpp"
#include <cinttypes>
#include <cstdint>

using namespace simdjson;

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t hash_bytes(std::string_view bytes, uint64_t seed)
{
    uint64_t h = seed ^ 0xCBF29CE484222325u;
    for (unsigned char c : bytes) h = (h ^ c) * 0x100000001B3u;
    return mix(h);
}

static uint64_t hash_value(ondemand::value value, uint64_t seed)
{
    char text[32];
    switch (value.type()) {
    case ondemand::json_type::number:
        snprintf(text, sizeof(text), "%.14g", value.get_double().value());
        return hash_bytes(text, seed);
    case ondemand::json_type::string: return hash_bytes(value.get_string().value(), seed + 1);
    default: return hash_bytes(value.raw_json_token(), seed + 2);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: digest FILE\n", stderr);
        return 2;
    }
    line_reader reader(argv[1]);
    ondemand::parser parser;
    std::string_view line;
    uint64_t rows = 0, digest = 0;
    try {
        while (reader.next(line)) {
            uint64_t row = 0;
            auto document = parser.iterate(reader.padded(line));
            for (auto field : document.get_object()) {
                uint64_t name = hash_bytes(field.unescaped_key().value(), 0);
                ondemand::value value = field.value();
                if (!value.is_null()) row += hash_value(value, name);
            }
            digest += mix(row);
            rows++;
        }
    } catch (const simdjson_error &error) {
        fprintf(stderr, "%s: row %" PRIu64 ": %s\n", argv[1], rows + 1, error.what());
        return 1;
    }
    printf("%" PRIu64 " %016" PRIx64 "\n", rows, digest);
    return 0;
}
