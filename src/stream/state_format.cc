#include "stream/state_format.h"

#include <array>

namespace millrace {

namespace {

constexpr std::string_view kMagic = "MRST";
constexpr uint16_t kVersion = 1;

constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ (value & 1 ? 0xEDB88320U : 0);
    table[i] = value;
  }
  return table;
}

uint32_t Crc32(const char* data, size_t size) {
  static constexpr auto kTable = MakeCrcTable();
  uint32_t crc = ~0U;
  for (size_t i = 0; i < size; i++) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(data[i])) & 255];
  }
  return ~crc;
}

}  // namespace

StateWriter::StateWriter(const std::string& fingerprint) {
  bytes_ += kMagic;
  Put(kVersion);
  PutString(fingerprint);
}

void StateWriter::PutString(std::string_view text) {
  Put(static_cast<uint32_t>(text.size()));
  bytes_ += text;
}

void StateWriter::PutTypes(const duckdb::vector<LogicalType>& types) {
  std::string text;
  for (auto& type : types) text += type.ToString() + ";";
  PutString(text);
}

void StateWriter::PutRows(const RowLayout& layout, const std::vector<uint8_t*>& rows) {
  Put(static_cast<uint64_t>(rows.size()));
  for (idx_t column = 0; column < layout.Columns(); column++) {
    for (const uint8_t* row : rows) Put(static_cast<uint8_t>(layout.IsNull(row, column)));
    for (const uint8_t* row : rows) {
      const uint8_t* value = layout.ValueAt(row, column);
      if (layout.IsNull(row, column)) continue;
      if (layout.IsString(column)) {
        auto& text = *reinterpret_cast<const string_t*>(value);
        PutString({text.GetData(), text.GetSize()});
      } else {
        bytes_.append(reinterpret_cast<const char*>(value), layout.ValueBytes(column));
      }
    }
  }
}

std::string StateWriter::Finish() {
  Put(Crc32(bytes_.data(), bytes_.size()));
  return std::move(bytes_);
}

StateReader::StateReader(std::string bytes, const std::string& fingerprint, const std::string& what)
    : bytes_(std::move(bytes)), what_(what), end_(bytes_.size()) {
  if (bytes_.size() < kMagic.size() + 10) Corrupt("it is cut short");
  end_ -= sizeof(uint32_t);
  uint32_t expected;
  memcpy(&expected, bytes_.data() + end_, sizeof(expected));
  if (Crc32(bytes_.data(), end_) != expected) Corrupt("its checksum does not match");
  if (std::string_view(Take(kMagic.size()), kMagic.size()) != kMagic)
    Corrupt("it is no state file");
  auto version = Get<uint16_t>();
  if (version != kVersion) Corrupt(fmt::format("its version is {}, not {}", version, kVersion));
  if (GetString() != fingerprint) Corrupt("it was written by another plan");
}

void StateReader::Corrupt(const std::string& why) const {
  Throw(ErrorCode::kCorrupt,
        "Loading the state of {}: {}; restore the checkpoint or start the job afresh", what_, why);
}

const char* StateReader::Take(size_t size) {
  if (end_ - at_ < size) Corrupt("it is cut short");
  const char* result = bytes_.data() + at_;
  at_ += size;
  return result;
}

std::string StateReader::GetString() {
  auto size = Get<uint32_t>();
  return std::string(Take(size), size);
}

void StateReader::ExpectTypes(const duckdb::vector<LogicalType>& types) {
  std::string text;
  for (auto& type : types) text += type.ToString() + ";";
  std::string found = GetString();
  if (found != text) Corrupt(fmt::format("it holds columns {}, the plan needs {}", found, text));
}

void StateReader::GetRows(const RowLayout& layout,
                          const std::function<void(idx_t, uint8_t*)>& visit) {
  auto count = Get<uint64_t>();
  if (layout.Columns() > 0 && count > end_ - at_) Corrupt("its row count is impossible");
  auto& rows = rows_.emplace_back(count * layout.Width());
  for (idx_t column = 0; column < layout.Columns(); column++) {
    const char* nulls = Take(count);
    for (idx_t i = 0; i < count; i++) {
      uint8_t* row = rows.data() + i * layout.Width();
      auto value = const_cast<uint8_t*>(layout.ValueAt(row, column));
      if (nulls[i]) {
        row[column >> 3] |= static_cast<uint8_t>(1 << (column & 7));
      } else if (layout.IsString(column)) {
        auto size = Get<uint32_t>();
        string_t text(Take(size), size);
        memcpy(value, &text, sizeof(text));
      } else {
        memcpy(value, Take(layout.ValueBytes(column)), layout.ValueBytes(column));
      }
    }
  }
  for (idx_t i = 0; i < count; i++) visit(i, rows.data() + i * layout.Width());
}

}  // namespace millrace
