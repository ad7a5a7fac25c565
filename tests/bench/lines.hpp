/* lines.hpp -- lines of a file, read in chunks into one reused buffer.
 *
 * Ownership  a line is valid until the next call of next().
 * Limits     a line that does not fit makes the buffer grow; SIMDJSON_PADDING
 *            readable bytes follow every line. */
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <simdjson.h>
#include <string_view>
#include <unistd.h>

[[noreturn]] inline void fail(const char *what)
{
    perror(what);
    exit(1);
}

class line_reader {
  public:
    explicit line_reader(const char *path) : fd_(open(path, O_RDONLY | O_CLOEXEC))
    {
        if (fd_ < 0) fail(path);
        grow(2 * CHUNK_BYTES);
    }
    ~line_reader()
    {
        close(fd_);
        free(buffer_);
    }
    line_reader(const line_reader &) = delete;
    line_reader &operator=(const line_reader &) = delete;

    bool next(std::string_view &line)
    {
        for (;;) {
            auto *end = static_cast<char *>(memchr(buffer_ + start_, '\n', filled_ - start_));
            if (end != nullptr) {
                line = { buffer_ + start_, static_cast<size_t>(end - buffer_) - start_ };
                start_ = static_cast<size_t>(end - buffer_) + 1;
                return true;
            }
            if (!fill()) break;
        }
        if (start_ == filled_) return false;
        line = { buffer_ + start_, filled_ - start_ }; /* The last line lacks its newline. */
        start_ = filled_;
        return true;
    }

    /* The line with the room behind it that simdjson may read. */
    simdjson::padded_string_view padded(std::string_view line) const
    {
        size_t at = static_cast<size_t>(line.data() - buffer_);
        return simdjson::padded_string_view(line.data(), line.size(), size_ + simdjson::SIMDJSON_PADDING - at);
    }

  private:
    static constexpr size_t CHUNK_BYTES = 256 * 1024;

    void grow(size_t size)
    {
        size_ = size;
        buffer_ = static_cast<char *>(realloc(buffer_, size_ + simdjson::SIMDJSON_PADDING));
        if (buffer_ == nullptr) fail("line buffer");
    }

    /* Moves the unfinished line to the front and reads a chunk behind it. */
    bool fill()
    {
        memmove(buffer_, buffer_ + start_, filled_ - start_);
        filled_ -= start_;
        start_ = 0;
        if (filled_ + CHUNK_BYTES > size_) grow(2 * size_);
        ssize_t n = read(fd_, buffer_ + filled_, CHUNK_BYTES);
        if (n < 0) fail("read");
        filled_ += static_cast<size_t>(n);
        return n > 0;
    }

    int fd_;
    char *buffer_ = nullptr;
    size_t size_ = 0;   /* bytes of buffer_, without the padding */
    size_t start_ = 0;  /* of the next line */
    size_t filled_ = 0; /* end of what was read */
};
