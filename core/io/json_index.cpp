#include "io/json_index.h"

#include <simdjson.h>

#include <memory>
#include <new>

using simdjson::internal::dom_parser_implementation;

struct sw_json_index {
    std::unique_ptr<dom_parser_implementation> parser; // Only its first stage is used.
};

namespace {

constexpr size_t smallest_capacity = 4096;
constexpr size_t unused_depth = 1; // The second stage's stack.

// Room for a text of len bytes; grows by half, so that lines that grow slowly do not allocate each time.
simdjson::error_code ensure_capacity(sw_json_index *index, size_t len)
{
    size_t capacity = index->parser ? index->parser->capacity() : 0;
    if (capacity >= len && index->parser) return simdjson::SUCCESS;
    size_t wanted = capacity + capacity / 2;
    if (wanted < len) wanted = len;
    if (wanted < smallest_capacity) wanted = smallest_capacity;
    if (index->parser) return index->parser->set_capacity(wanted);
    return simdjson::get_active_implementation()->create_dom_parser_implementation(wanted, unused_depth, index->parser);
}

const char *reason(simdjson::error_code code)
{
    switch (code) {
    case simdjson::EMPTY: return SW_JSON_BLANK;
    case simdjson::UNCLOSED_STRING: return "a string is not closed";
    case simdjson::UNESCAPED_CHARS: return "a control character in a string is not escaped";
    case simdjson::UTF8_ERROR: return "not valid UTF-8";
    default: return simdjson::error_message(code);
    }
}

} // namespace

extern "C" sw_json_index *sw_json_index_new(void)
{
    return new (std::nothrow) sw_json_index();
}

extern "C" void sw_json_index_free(sw_json_index *index)
{
    delete index;
}

extern "C" const char *sw_json_index_scan(sw_json_index *index, const uint8_t *text, size_t len,
                                          const uint32_t **tokens, uint32_t *count, bool *is_memory)
{
    *is_memory = false;
    if (ensure_capacity(index, len) != simdjson::SUCCESS) {
        *is_memory = true;
        return "out of memory";
    }
    simdjson::error_code code = index->parser->stage1(text, len, simdjson::stage1_mode::regular);
    if (code != simdjson::SUCCESS) return reason(code);
    *tokens = index->parser->structural_indexes.get();
    *count = index->parser->n_structural_indexes;
    return nullptr;
}

extern "C" bool sw_utf8_is_valid(const void *bytes, size_t len)
{
    return simdjson::validate_utf8(static_cast<const char *>(bytes), len);
}
