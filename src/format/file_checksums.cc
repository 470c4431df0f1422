#include "format/file_checksums.h"

#include <charconv>

#include "base/bytes.h"
#include "base/error.h"

namespace millrace {

namespace {

constexpr std::string_view kSealMark = "footer=";
constexpr std::string_view kUnsealed = "00000000";
constexpr int64_t kEndBytes = 8;  // Length of the footer, "PAR1".
constexpr int64_t kReadAhead = 64 << 10;

std::optional<uint32_t> FromHex(std::string_view digits) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// Place of the seal's digits in a footer; npos without one.
size_t FindSeal(std::string_view footer) {
  size_t key = footer.rfind(kChecksumKey);
  if (key == std::string_view::npos) return key;
  size_t mark = footer.find(kSealMark, key);
  if (mark == std::string_view::npos) return mark;
  size_t digits = mark + kSealMark.size();
  return digits + kUnsealed.size() <= footer.size() ? digits : std::string_view::npos;
}

}  // namespace

std::string ChecksumValue(const std::vector<uint32_t>& chunks) {
  std::string value = fmt::format("{}{},", kSealMark, kUnsealed);
  for (uint32_t crc : chunks) value += fmt::format("{:08x}", crc);
  return value;
}

std::vector<uint32_t> ParseChecksumValue(const std::string& value) {
  size_t start = kSealMark.size() + kUnsealed.size() + 1;
  if (value.size() < start || (value.size() - start) % 8 != 0) return {};
  std::vector<uint32_t> chunks;
  for (size_t at = start; at < value.size(); at += 8) {
    std::optional<uint32_t> crc = FromHex(std::string_view(value).substr(at, 8));
    if (!crc) return {};
    chunks.push_back(*crc);
  }
  return chunks;
}

void SealFooter(std::string& tail) {
  MILLRACE_CHECK(static_cast<int64_t>(tail.size()) > kEndBytes);
  std::string_view footer(tail.data(), tail.size() - kEndBytes);
  size_t digits = FindSeal(footer);
  MILLRACE_CHECK(digits != std::string_view::npos);
  tail.replace(digits, kUnsealed.size(), fmt::format("{:08x}", Crc32(footer)));
}

FileTail ReadTail(RandomAccessFile& file, const std::string& path) {
  FileTail tail;
  auto read = [&](int64_t length) {
    tail.offset = file.Size() - length;
    tail.bytes.resize(static_cast<size_t>(length));
    file.ReadAt(tail.offset, tail.bytes.data(), length);
  };
  if (file.Size() < kEndBytes + 4) {
    Throw(ErrorCode::kCorrupt,
          "Reading data file '{}': its {} bytes are too few for a Parquet file", path, file.Size());
  }
  read(std::min(file.Size(), kReadAhead));
  auto size = static_cast<int64_t>(tail.bytes.size());
  int64_t footer = LoadLittle<uint32_t>(tail.bytes.data() + size - kEndBytes);
  if (footer + kEndBytes > file.Size()) {
    Throw(ErrorCode::kCorrupt,
          "Reading data file '{}': its footer of {} bytes does not fit into {}", path, footer,
          file.Size());
  }
  if (footer + kEndBytes > size) {
    read(footer + kEndBytes);
    size = footer + kEndBytes;
  }
  std::string unsealed = tail.bytes.substr(static_cast<size_t>(size - kEndBytes - footer),
                                           static_cast<size_t>(footer));
  size_t digits = FindSeal(unsealed);
  if (digits == std::string::npos) return tail;
  std::optional<uint32_t> expected = FromHex(std::string_view(unsealed).substr(digits, 8));
  unsealed.replace(digits, kUnsealed.size(), kUnsealed);
  if (expected != Crc32(unsealed)) {
    Throw(ErrorCode::kCorrupt, "Reading data file '{}': the checksum of its footer does not match",
          path);
  }
  return tail;
}

}  // namespace millrace
