#include "lsm/lookup_file.h"

#include <algorithm>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "base/error.h"

namespace millrace {

namespace {

constexpr size_t kBlockBytes = 4096;
constexpr size_t kWriteBytes = 1 << 20;
constexpr int64_t kFilterBitsPerRow = 10;
constexpr int kFilterProbes = 6;
constexpr size_t kEntryHead = 2 + 2 + 4 + 4;  // Lengths of key, order and row; position.
constexpr size_t kBlockTail = 4 + 8;          // Number of entries, checksum.

uint64_t HashOf(std::string_view key) {
  return XXH3_64bits(key.data(), key.size());
}

/// Calls `visit` with the bits of a key until it returns false. `words` is a power of two.
template <typename Visit>
void ForEachBit(uint64_t hash, size_t words, Visit visit) {
  uint64_t step = hash >> 32 | 1;
  for (int i = 0; i < kFilterProbes; i++, hash += step) {
    uint64_t bit = hash & (words * 64 - 1);
    if (!visit(bit / 64, uint64_t{1} << (bit % 64))) return;
  }
}

/// The parts of an entry that begins at `at`.
struct EntryView {
  std::string_view key, order, row;
  uint32_t position;
};

EntryView ViewOf(const std::string& block, size_t at) {
  const char* head = block.data() + at;
  size_t key = LoadLittle<uint16_t>(head), order = LoadLittle<uint16_t>(head + 2);
  size_t row = LoadLittle<uint32_t>(head + 4);
  const char* bytes = head + kEntryHead;
  return {{bytes, key},
          {bytes + key, order},
          {bytes + key + order, row},
          LoadLittle<uint32_t>(head + 8)};
}

}  // namespace

std::string_view LookupFile::FirstKey(size_t block) const {
  size_t begin = block == 0 ? 0 : blocks_[block - 1].key_end;
  return std::string_view(keys_).substr(begin, blocks_[block].key_end - begin);
}

int64_t LookupFile::MemoryBytes() const {
  return static_cast<int64_t>(keys_.capacity() + blocks_.capacity() * sizeof(Place) +
                              filter_.capacity() * 8);
}

LookupBlock LookupFile::Load(size_t block, LookupBlockCache& cache) const {
  uint64_t name = uint64_t{id_} << 32 | block;
  if (LookupBlock* found = cache.Find(name)) return *found;
  const Place& place = blocks_[block];
  auto bytes = std::make_shared<std::string>(place.length, '\0');
  file_->ReadAt(static_cast<int64_t>(place.offset), bytes->data(), place.length);
  size_t covered = bytes->size() - 8;
  if (XXH3_64bits(bytes->data(), covered) != LoadLittle<uint64_t>(bytes->data() + covered)) {
    Throw(ErrorCode::kCorrupt, "Reading lookup file '{}': the block at {} is damaged", path_,
          place.offset);
  }
  cache.Put(name, bytes, static_cast<int64_t>(bytes->size()) + 96);
  return bytes;
}

std::optional<LookupEntry> LookupFile::Find(std::string_view key, LookupBlockCache& cache) const {
  if (rows_ == 0) return std::nullopt;
  bool may_be_there = true;
  ForEachBit(HashOf(key), filter_.size(),
             [&](size_t word, uint64_t bit) { return may_be_there = (filter_[word] & bit) != 0; });
  if (!may_be_there) return std::nullopt;
  size_t low = 0, high = blocks_.size();  // The last block whose first key is not above `key`.
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (key < FirstKey(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low == 0) return std::nullopt;
  LookupBlock block = Load(low - 1, cache);
  size_t tail = block->size() - kBlockTail;
  size_t count = LoadLittle<uint32_t>(block->data() + tail);
  size_t table = tail - count * 4;
  size_t first = 0, last = count;
  while (first < last) {
    size_t middle = (first + last) / 2;
    EntryView entry = ViewOf(*block, LoadLittle<uint32_t>(block->data() + table + middle * 4));
    if (entry.key == key) {
      return LookupEntry{entry.order, entry.position, entry.row, std::move(block)};
    }
    if (entry.key < key) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return std::nullopt;
}

LookupFileWriter::LookupFileWriter(FileSystem& files, std::string path, uint32_t id,
                                   int64_t expected_rows)
    : files_(files), out_(files.OpenForAppend(path)) {
  made_.path_ = std::move(path);
  made_.id_ = id;
  size_t words = 1;
  while (static_cast<int64_t>(words) * 64 < expected_rows * kFilterBitsPerRow) words *= 2;
  made_.filter_.resize(words);
}

void LookupFileWriter::Add(std::string_view key, std::string_view order, int64_t position,
                           std::string_view row) {
  if (key.size() > UINT16_MAX || order.size() > UINT16_MAX || position > UINT32_MAX) {
    Throw(ErrorCode::kUnsupported,
          "A key of {} bytes or row {} of a data file is too large to be looked up", key.size(),
          position);
  }
  if (entries_.empty()) made_.keys_ += key;
  entries_.push_back(static_cast<uint32_t>(block_.size()));
  AppendLittle<uint16_t>(block_, static_cast<uint16_t>(key.size()));
  AppendLittle<uint16_t>(block_, static_cast<uint16_t>(order.size()));
  AppendLittle<uint32_t>(block_, static_cast<uint32_t>(row.size()));
  AppendLittle<uint32_t>(block_, static_cast<uint32_t>(position));
  block_ += key;
  block_ += order;
  block_ += row;
  ForEachBit(HashOf(key), made_.filter_.size(), [&](size_t word, uint64_t bit) {
    made_.filter_[word] |= bit;
    return true;
  });
  made_.rows_++;
  if (block_.size() >= kBlockBytes) CloseBlock();
}

void LookupFileWriter::CloseBlock() {
  for (uint32_t entry : entries_) AppendLittle<uint32_t>(block_, entry);
  AppendLittle<uint32_t>(block_, static_cast<uint32_t>(entries_.size()));
  AppendLittle<uint64_t>(block_, XXH3_64bits(block_.data(), block_.size()));
  pending_ += block_;
  made_.blocks_.push_back(
      {offset_, static_cast<uint32_t>(block_.size()), static_cast<uint32_t>(made_.keys_.size())});
  offset_ += block_.size();
  block_.clear();
  entries_.clear();
  if (pending_.size() >= kWriteBytes) WriteOut();
}

void LookupFileWriter::WriteOut() {
  out_->Append(pending_);
  pending_.clear();
}

LookupFile LookupFileWriter::Finish() {
  if (!entries_.empty()) CloseBlock();
  WriteOut();
  made_.bytes_ = static_cast<int64_t>(offset_);
  made_.file_ = files_.OpenForRead(made_.path_);
  made_.blocks_.shrink_to_fit();
  made_.keys_.shrink_to_fit();
  return std::move(made_);
}

}  // namespace millrace
