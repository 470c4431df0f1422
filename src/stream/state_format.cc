#include "stream/state_format.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace millrace {

namespace {

constexpr std::string_view kMagic = "MRST";
constexpr uint16_t kVersion = 1;

// Rows lie scattered in memory: a block of them fits the cache while its columns are written.
constexpr idx_t kBlockRows = 1024;

constexpr size_t kFlushBytes = 1 << 20;

}  // namespace

struct StateWriter::Checksum {
  XXH3_state_t state;
};

StateWriter::StateWriter(StateStore& store, std::string key, const std::string& fingerprint)
    : store_(store), key_(std::move(key)), checksum_(std::make_unique<Checksum>()) {
  XXH3_64bits_reset(&checksum_->state);
  bytes_ += kMagic;
  Put(kVersion);
  PutString(fingerprint);
}

StateWriter::~StateWriter() = default;

void StateWriter::Flush(bool all) {
  if (!all && bytes_.size() < kFlushBytes) return;
  XXH3_64bits_update(&checksum_->state, bytes_.data(), bytes_.size());
  store_.Append(key_, bytes_);
  bytes_.clear();
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
  for (idx_t first = 0; first < rows.size(); first += kBlockRows) {
    PutBlock(layout, rows.data() + first, std::min<idx_t>(kBlockRows, rows.size() - first));
    Flush(false);
  }
}

void StateWriter::PutBlock(const RowLayout& layout, uint8_t* const* rows, idx_t count) {
  for (idx_t column = 0; column < layout.Columns(); column++) {
    size_t at = bytes_.size();
    bytes_.resize(at + count);
    for (idx_t i = 0; i < count; i++) bytes_[at + i] = layout.IsNull(rows[i], column) ? 1 : 0;
    if (layout.IsString(column)) {
      for (idx_t i = 0; i < count; i++) {
        if (layout.IsNull(rows[i], column)) continue;
        auto& text = *reinterpret_cast<const string_t*>(layout.ValueAt(rows[i], column));
        PutString({text.GetData(), text.GetSize()});
      }
      continue;
    }
    size_t width = layout.ValueBytes(column);
    size_t values = bytes_.size();
    bytes_.resize(values + count * width);
    char* out = bytes_.data() + values;
    for (idx_t i = 0; i < count; i++) {
      if (layout.IsNull(rows[i], column)) continue;
      memcpy(out, layout.ValueAt(rows[i], column), width);
      out += width;
    }
    bytes_.resize(static_cast<size_t>(out - bytes_.data()));
  }
}

void StateWriter::Finish() {
  Flush(true);
  Put(static_cast<uint64_t>(XXH3_64bits_digest(&checksum_->state)));
  store_.Append(key_, bytes_);
  store_.Close(key_);
}

StateReader::StateReader(std::string bytes, const std::string& fingerprint, const std::string& what)
    : bytes_(std::move(bytes)), what_(what), end_(bytes_.size()) {
  if (bytes_.size() < kMagic.size() + 14) Corrupt("it is cut short");
  end_ -= sizeof(uint64_t);
  uint64_t expected;
  memcpy(&expected, bytes_.data() + end_, sizeof(expected));
  if (XXH3_64bits(bytes_.data(), end_) != expected) Corrupt("its checksum does not match");
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
  for (idx_t first = 0; first < count; first += kBlockRows) {
    GetBlock(layout, rows.data() + first * layout.Width(),
             std::min<idx_t>(kBlockRows, count - first));
  }
  for (idx_t i = 0; i < count; i++) visit(i, rows.data() + i * layout.Width());
}

void StateReader::GetBlock(const RowLayout& layout, uint8_t* rows, idx_t count) {
  for (idx_t column = 0; column < layout.Columns(); column++) {
    const char* nulls = Take(count);
    for (idx_t i = 0; i < count; i++) {
      uint8_t* row = rows + i * layout.Width();
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
}

}  // namespace millrace
