#include "stream/state_format.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "io/worker_pool.h"

namespace millrace {

namespace {

constexpr std::string_view kMagic = "MRST";
constexpr uint16_t kVersion = 2;
constexpr uint16_t kVersionOfParts = 3;
constexpr uint32_t kPart = 0xFFFFFFFF;  // Where a frame would have its size.
constexpr size_t kFrameBytes = 1 << 20;

std::string TypesText(const duckdb::vector<LogicalType>& types) {
  std::string text;
  for (auto& type : types) text += type.ToString() + ";";
  return text;
}

template <typename T>
void AppendValue(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

/// Walks through the bytes of one block, whose length is known.
class BlockCursor {
 public:
  BlockCursor(const StateReader& reader, const char* at, size_t size)
      : reader_(reader), at_(at), left_(size) {}
  const char* Take(size_t size) {
    if (size > left_) reader_.Corrupt("a block is cut short");
    const char* result = at_;
    at_ += size;
    left_ -= size;
    return result;
  }
  void ReadColumn(const RowLayout& layout, idx_t column, idx_t count, uint8_t* rows);

 private:
  const StateReader& reader_;
  const char* at_;
  size_t left_;
};

/// Values of one width, those that are there one after the other.
template <idx_t kBytes>
void CopyValues(const char* from, const char* nulls, idx_t count, uint8_t* to, idx_t stride) {
  for (idx_t i = 0; i < count; i++, to += stride) {
    if (nulls[i]) continue;
    memcpy(to, from, kBytes);
    from += kBytes;
  }
}

void BlockCursor::ReadColumn(const RowLayout& layout, idx_t column, idx_t count, uint8_t* rows) {
  const char* nulls = Take(count);
  const idx_t stride = layout.Width(), width = layout.ValueBytes(column);
  idx_t there = 0;
  for (idx_t i = 0; i < count; i++) {
    there += nulls[i] ? 0 : 1;
    if (nulls[i]) layout.SetNull(rows + i * stride, column);
  }
  auto to = const_cast<uint8_t*>(layout.ValueAt(rows, column));
  if (layout.IsString(column)) {
    for (idx_t i = 0; i < count; i++, to += stride) {
      if (nulls[i]) continue;
      uint32_t size;
      memcpy(&size, Take(sizeof(size)), sizeof(size));
      string_t text(Take(size), size);
      memcpy(to, &text, sizeof(text));
    }
    return;
  }
  const char* from = Take(there * width);
  switch (width) {
    case 1:
      return CopyValues<1>(from, nulls, count, to, stride);
    case 2:
      return CopyValues<2>(from, nulls, count, to, stride);
    case 4:
      return CopyValues<4>(from, nulls, count, to, stride);
    case 8:
      return CopyValues<8>(from, nulls, count, to, stride);
    default:
      MILLRACE_CHECK(width == 16);
      return CopyValues<16>(from, nulls, count, to, stride);
  }
}

}  // namespace

StateBlob::StateBlob(StateStore& store, std::string key, bool changes, bool in_parts)
    : store_(store), key_(std::move(key)) {
  store_.Begin(key_, changes);
  std::string head(kMagic);
  AppendValue(head, in_parts ? kVersionOfParts : kVersion);
  store_.Append(key_, head);
}

void StateBlob::AppendHead(uint32_t size, uint64_t checksum) {
  std::string head;
  AppendValue(head, size);
  AppendValue(head, checksum);
  AppendValue(checksums_, checksum);
  store_.Append(key_, head);
}

void StateBlob::Append(std::string_view frame, std::optional<idx_t> part) {
  auto checksum = static_cast<uint64_t>(XXH3_64bits(frame.data(), frame.size()));
  std::lock_guard lock(mutex_);
  if (part != part_) AppendHead(kPart, *part);
  part_ = part;
  AppendHead(static_cast<uint32_t>(frame.size()), checksum);
  store_.Append(key_, frame);
  written_ += static_cast<int64_t>(frame.size());
}

void StateBlob::Finish() {
  AppendHead(0, static_cast<uint64_t>(XXH3_64bits(checksums_.data(), checksums_.size())));
  store_.Close(key_);
}

StateWriter::StateWriter(StateStore& store, StateArena& arena, std::string key,
                         const std::string& fingerprint, bool changes, bool in_parts)
    : blob_(std::make_shared<StateBlob>(store, std::move(key), changes, in_parts)),
      arena_(&arena),
      changes_(changes) {
  PutString(fingerprint);
  Put(static_cast<uint8_t>(changes_));
  if (in_parts) Flush(true);
}

StateWriter::StateWriter(StateWriter& whole, StateArena& arena, idx_t part)
    : blob_(whole.blob_), arena_(&arena), part_(part), changes_(whole.changes_) {}

StateWriter::~StateWriter() = default;

void StateWriter::Flush(bool all) {
  size_t at = 0;
  while (bytes_.size() - at >= kFrameBytes || (all && at < bytes_.size())) {
    size_t size = std::min(kFrameBytes, bytes_.size() - at);
    blob_->Append(std::string_view(bytes_).substr(at, size), part_);
    at += size;
  }
  bytes_.erase(0, at);
}

void StateWriter::PutString(std::string_view text) {
  Put(static_cast<uint32_t>(text.size()));
  bytes_ += text;
}

void StateWriter::PutTypes(const duckdb::vector<LogicalType>& types) {
  PutString(TypesText(types));
}

void StateWriter::BeginRecords(RecordParts parts) {
  parts_ = std::move(parts);
  for (auto& rows : rows_) rows.clear();
}

// A block is [u32 records | u32 bytes | its parts]; none: the end of the records.
void StateWriter::PutBlock() {
  idx_t count = rows_[0].size();
  Put(static_cast<uint32_t>(count));
  size_t size_at = bytes_.size();
  Put(uint32_t(0));
  for (const RecordPart& part : parts_) {
    if (part.layout) {
      for (idx_t column = 0; column < part.layout->Columns(); column++) {
        PutColumn(part, column, count);
      }
      continue;
    }
    for (const uint8_t* row : rows_[part.row]) {
      bytes_.append(reinterpret_cast<const char*>(row + part.offset), part.bytes);
    }
  }
  auto size = static_cast<uint32_t>(bytes_.size() - size_at - sizeof(uint32_t));
  memcpy(bytes_.data() + size_at, &size, sizeof(size));
  for (auto& rows : rows_) rows.clear();
  Flush(false);
  arena_->Balance();
}

void StateWriter::PutColumn(const RecordPart& part, idx_t column, idx_t count) {
  const RowLayout& layout = *part.layout;
  const auto& rows = rows_[part.row];
  size_t at = bytes_.size();
  bytes_.resize(at + count);
  for (idx_t i = 0; i < count; i++) {
    bytes_[at + i] = layout.IsNull(rows[i] + part.offset, column) ? 1 : 0;
  }
  if (layout.IsString(column)) {
    for (idx_t i = 0; i < count; i++) {
      if (bytes_[at + i]) continue;
      auto& text =
          *reinterpret_cast<const string_t*>(layout.ValueAt(rows[i] + part.offset, column));
      PutString({text.GetData(), text.GetSize()});
    }
    return;
  }
  size_t width = layout.ValueBytes(column);
  size_t values = bytes_.size();
  bytes_.resize(values + count * width);
  char* out = bytes_.data() + values;
  for (idx_t i = 0; i < count; i++) {
    if (bytes_[at + i]) continue;
    memcpy(out, layout.ValueAt(rows[i] + part.offset, column), width);
    out += width;
  }
  bytes_.resize(static_cast<size_t>(out - bytes_.data()));
}

void StateWriter::EndRecords() {
  if (!rows_[0].empty()) PutBlock();
  Put(uint32_t(0));
}

void StateWriter::Finish() {
  Flush(true);
  if (!part_) blob_->Finish();
}

StateReader::StateReader(std::unique_ptr<StateInput> input, StateArena& arena,
                         const std::string& fingerprint, std::string what)
    : input_(std::move(input)), arena_(&arena), what_(std::move(what)) {
  char magic[kMagic.size()];
  ReadExactly(magic, sizeof(magic));
  if (std::string_view(magic, sizeof(magic)) != kMagic) Corrupt("it is no state file");
  uint16_t version;
  ReadExactly(&version, sizeof(version));
  in_parts_ = version == kVersionOfParts;
  if (version != kVersion && !in_parts_) {
    Corrupt(fmt::format("its version is {}, not {} or {}", version, kVersion, kVersionOfParts));
  }
  if (GetString() != fingerprint) Corrupt("it was written by another plan");
  changes_ = Get<uint8_t>();
}

void StateReader::Corrupt(const std::string& why) const {
  Throw(ErrorCode::kCorrupt,
        "Loading the state of {}: {}; restore the checkpoint or start the job afresh", what_, why);
}

void StateReader::ReadExactly(void* to, size_t size) {
  if (input_->Read(static_cast<char*>(to), size) != size) Corrupt("it is cut short");
}

bool StateReader::ReadFrame() {
  if (ended_) return false;
  uint32_t size;
  uint64_t checksum;
  for (;;) {
    ReadExactly(&size, sizeof(size));
    ReadExactly(&checksum, sizeof(checksum));
    bool begins_part = in_parts_ && size == kPart;
    if (begins_part) part_ = checksum;
    if (!begins_part && (size == 0 || part_ == chosen_)) break;
    if (!begins_part && size > kFrameBytes) Corrupt("the size of a frame is impossible");
    if (!begins_part) input_->Skip(size);
    AppendValue(checksums_, checksum);
  }
  if (size == 0) {
    ended_ = true;
    char more;
    if (checksum != XXH3_64bits(checksums_.data(), checksums_.size()) ||
        input_->Read(&more, 1) != 0) {
      Corrupt("its end does not match");
    }
    return false;
  }
  if (size > kFrameBytes) Corrupt("the size of a frame is impossible");
  bytes_.erase(0, at_);
  at_ = 0;
  size_t before = bytes_.size();
  bytes_.resize(before + size);
  ReadExactly(bytes_.data() + before, size);
  if (XXH3_64bits(bytes_.data() + before, size) != checksum) Corrupt("a checksum does not match");
  AppendValue(checksums_, checksum);
  read_ += size;
  return true;
}

const char* StateReader::Take(size_t size) {
  while (bytes_.size() - at_ < size) {
    if (!ReadFrame()) Corrupt("it is cut short");
  }
  const char* result = bytes_.data() + at_;
  at_ += size;
  return result;
}

std::string StateReader::GetString() {
  auto size = Get<uint32_t>();
  return std::string(Take(size), size);
}

void StateReader::ExpectTypes(const duckdb::vector<LogicalType>& types) {
  std::string text = TypesText(types), found = GetString();
  if (found != text) Corrupt(fmt::format("it holds columns {}, the plan needs {}", found, text));
}

bool StateReader::ReadBlock(const RecordParts& parts, RecordBlock& block) {
  block.count = Get<uint32_t>();
  if (block.count == 0) return false;
  auto size = Get<uint32_t>();
  block.bytes_.assign(Take(size), size);
  BlockCursor cursor(*this, block.bytes_.data(), size);
  block.rows_.resize(parts.size());
  block.widths_.resize(parts.size());
  for (idx_t p = 0; p < parts.size(); p++) {
    auto& rows = block.rows_[p];
    const RowLayout* layout = parts[p].layout;
    block.widths_[p] = parts[p].Width();
    rows.assign(block.count * parts[p].Width(), 0);
    if (!layout) {
      if (!rows.empty()) memcpy(rows.data(), cursor.Take(rows.size()), rows.size());
      continue;
    }
    for (idx_t i = 0; i < block.count; i++) RowLayout::MarkLive(block.Row(p, i));
    for (idx_t column = 0; column < layout->Columns(); column++) {
      cursor.ReadColumn(*layout, column, block.count, rows.data());
    }
  }
  if (!parts[0].layout) return true;
  block.hashes_.resize(block.count);
  for (idx_t i = 0; i < block.count; i++) {
    block.hashes_[i] = parts[0].layout->Hash(block.Row(0, i));
  }
  return true;
}

// While some blocks are visited the next ones are read, where there is a thread for it.
void StateReader::GetRecords(const RecordParts& parts,
                             const std::function<void(RecordBlock&)>& visit) {
  std::vector<RecordBlock> blocks(kBlocksAhead), ahead(workers_ ? kBlocksAhead : 0);
  idx_t count = 0, count_ahead = 0;
  bool more = true;
  auto read = [&](std::vector<RecordBlock>& into) {
    idx_t done = 0;
    while (more && done < into.size()) {
      more = ReadBlock(parts, into[done]);
      if (more) done++;
    }
    return done;
  };
  auto visit_all = [&] {
    for (idx_t i = 0; i < count; i++) {
      visit(blocks[i]);
      arena_->Balance();
    }
  };
  for (count = read(blocks); count > 0; count = count_ahead) {
    if (!workers_ || !more) {
      visit_all();
      count_ahead = read(blocks);
      continue;
    }
    workers_->Run(2, 2, [&](size_t part) {
      if (part == 0) {
        count_ahead = read(ahead);
      } else {
        visit_all();
      }
    });
    blocks.swap(ahead);
  }
}

void TableLoader::Add(RecordBlock& block) {
  rows_.resize(block.count);
  created_.assign(block.count, 1);
  if (filler_) {
    for (idx_t i = 0; i < block.count; i++) {
      rows_[i] = filler_->Add(block.Row(0, i), block.HashOf(i));
    }
    return;
  }
  table_.FindOrCreateAll(
      block.count, [&](idx_t i) { return block.HashOf(i); },
      [&](idx_t i, uint64_t hash) {
        bool created;
        rows_[i] = table_.FindOrCreate(block.Row(0, i), hash, created);
        created_[i] = created;
      });
}

std::string FindStateDamage(StateInput& input) {
  auto read = [&](void* to, size_t size) {
    return input.Read(static_cast<char*>(to), size) == size;
  };
  char magic[kMagic.size()];
  uint16_t version;
  if (!read(magic, sizeof(magic)) || std::string_view(magic, sizeof(magic)) != kMagic ||
      !read(&version, sizeof(version))) {
    return "it is no state file";
  }
  std::string frame, checksums;
  while (true) {
    uint32_t size;
    uint64_t checksum;
    if (!read(&size, sizeof(size)) || !read(&checksum, sizeof(checksum))) return "it is cut short";
    if (size == 0) {
      bool ends = checksum == XXH3_64bits(checksums.data(), checksums.size());
      return ends && !read(&size, 1) ? "" : "its end does not match";
    }
    if (size == kPart && version == kVersionOfParts) {
      AppendValue(checksums, checksum);
      continue;
    }
    if (size > kFrameBytes) return "the size of a frame is impossible";
    frame.resize(size);
    if (!read(frame.data(), size)) return "it is cut short";
    if (XXH3_64bits(frame.data(), size) != checksum) return "a checksum does not match";
    AppendValue(checksums, checksum);
  }
}

void StateReader::Finish() {
  if (at_ != bytes_.size() || ReadFrame()) Corrupt("it holds more than the plan keeps");
}

}  // namespace millrace
