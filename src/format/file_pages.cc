#include "format/file_pages.h"

#include <fmt/format.h>

#include <charconv>

namespace millrace {

// The text: version ';' sorted column in hex ';' then for each row group
// rows '|' chunks, ',' between them, of pages bytes '.' crc, '+' between them '|' least ',' ... ';'
// where a least value is 'i' and a number, or 's' and bytes in hex. Numbers are hexadecimal.

namespace {

constexpr std::string_view kVersion = "1";

std::string ToHex(std::string_view bytes) {
  std::string hex;
  for (unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

template <typename T>
bool Number(std::string_view text, T& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return error == std::errc() && end == text.data() + text.size();
}

bool FromHex(std::string_view hex, std::string& out) {
  if (hex.size() % 2 != 0) return false;
  for (size_t i = 0; i < hex.size(); i += 2) {
    uint8_t byte;
    if (!Number(hex.substr(i, 2), byte)) return false;
    out += static_cast<char>(byte);
  }
  return true;
}

/// The text up to `mark`, which is taken away with it; all of it without one.
std::string_view Next(std::string_view& text, char mark) {
  size_t end = text.find(mark);
  std::string_view part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return part;
}

bool ParseChunk(std::string_view text, ChunkPages& pages) {
  while (!text.empty()) {
    std::string_view page = Next(text, '+');
    FilePage& made = pages.emplace_back();
    if (!Number(Next(page, '.'), made.bytes) || !Number(page, made.crc)) return false;
  }
  return true;
}

bool ParseLeast(std::string_view text, std::vector<Value>& least) {
  while (!text.empty()) {
    std::string_view value = Next(text, ',');
    if (value.empty()) return false;
    int64_t number;
    std::string bytes;
    if (value[0] == 'i' && Number(value.substr(1), number)) {
      least.push_back(Value::BIGINT(number));
    } else if (value[0] == 's' && FromHex(value.substr(1), bytes)) {
      if (!Value::StringIsValid(bytes)) return false;
      least.emplace_back(std::move(bytes));
    } else {
      return false;
    }
  }
  return true;
}

bool ParseRowGroup(std::string_view text, RowGroupPages& group) {
  if (!Number(Next(text, '|'), group.rows) || group.rows <= 0) return false;
  std::string_view chunks = Next(text, '|');
  while (!chunks.empty()) {
    if (!ParseChunk(Next(chunks, ','), group.chunks.emplace_back())) return false;
  }
  return ParseLeast(text, group.least);
}

}  // namespace

bool RowGroupPages::operator==(const RowGroupPages& other) const {
  return rows == other.rows && chunks == other.chunks &&
         std::equal(least.begin(), least.end(), other.least.begin(), other.least.end(),
                    Value::NotDistinctFrom);
}

std::string FilePagesToText(const FilePages& pages) {
  std::string text = fmt::format("{};{};", kVersion, ToHex(pages.sorted_column));
  for (const RowGroupPages& group : pages.row_groups) {
    text += fmt::format("{:x}|", group.rows);
    for (size_t chunk = 0; chunk < group.chunks.size(); chunk++) {
      if (chunk > 0) text += ',';
      for (size_t page = 0; page < group.chunks[chunk].size(); page++) {
        const FilePage& written = group.chunks[chunk][page];
        text += fmt::format("{}{:x}.{:x}", page > 0 ? "+" : "", written.bytes, written.crc);
      }
    }
    text += '|';
    for (size_t page = 0; page < group.least.size(); page++) {
      const Value& least = group.least[page];
      if (page > 0) text += ',';
      if (least.type().id() == LogicalTypeId::VARCHAR) {
        text += "s" + ToHex(duckdb::StringValue::Get(least));
      } else {
        text += fmt::format("i{:x}", least.GetValue<int64_t>());
      }
    }
    text += ';';
  }
  return text;
}

std::optional<FilePages> FilePagesFromText(std::string_view text) {
  FilePages pages;
  if (Next(text, ';') != kVersion || !FromHex(Next(text, ';'), pages.sorted_column)) {
    return std::nullopt;
  }
  while (!text.empty()) {
    if (!ParseRowGroup(Next(text, ';'), pages.row_groups.emplace_back())) return std::nullopt;
  }
  return pages;
}

}  // namespace millrace
