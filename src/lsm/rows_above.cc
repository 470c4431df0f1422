#include "lsm/rows_above.h"

#include <algorithm>

#include "base/error.h"
#include "lsm/cursor_merge.h"
#include "lsm/sort_key.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

/// The keys of chunks that begin with the key's columns. `Key` as in MergeCursor.
template <typename Key>
class ChunkKeys {
 public:
  explicit ChunkKeys(const KeyValueLayout& layout) {
    for (const DataType& type : layout.KeyTypes()) types_.push_back(type.ToDuck());
    columns_.InitializeEmpty(types_);
  }

  /// As many as `chunk` has rows; valid until the next call. nullptr: one is NULL.
  const Key* Of(DataChunk& chunk) {
    if constexpr (std::is_same_v<Key, int64_t>) {
      integers_.resize(chunk.size());
      return ToIntegers(chunk.data[0], chunk.size(), integers_.data()) ? integers_.data() : nullptr;
    } else {
      for (idx_t i = 0; i < types_.size(); i++) columns_.data[i].Reference(chunk.data[i]);
      columns_.SetCardinality(chunk.size());
      blobs_ = std::make_unique<Vector>(LogicalType(LogicalTypeId::BLOB));
      NormaliseToBlobs(columns_, *blobs_);
      return duckdb::FlatVector::GetData<string_t>(*blobs_);
    }
  }

 private:
  duckdb::vector<LogicalType> types_;
  DataChunk columns_;
  std::vector<int64_t> integers_;
  std::unique_ptr<Vector> blobs_;
};

/// A key that outlives its chunk.
template <typename Key>
class KeptKey {
 public:
  KeptKey(const KeyValueLayout& layout, const RowBytes& key) {
    std::vector<Value> values = DecodeRow(layout.KeyTypes(), key);
    if constexpr (std::is_same_v<Key, int64_t>) {
      Vector one(values[0]);
      MILLRACE_CHECK(ToIntegers(one, 1, &key_));
    } else {
      bytes_ = KeyOrder(layout.KeyTypes()).Normalise(values);
    }
  }
  Key Get() const {
    if constexpr (std::is_same_v<Key, int64_t>) {
      return key_;
    } else {
      return string_t(bytes_.data(), static_cast<uint32_t>(bytes_.size()));
    }
  }

 private:
  int64_t key_ = 0;
  std::string bytes_;
};

/// The first of keys[from .. count) that is not below `key`, which is mostly near.
template <typename Key>
idx_t FirstNotBelow(const Key* keys, idx_t from, idx_t count, const Key& key) {
  idx_t step = 1;
  idx_t low = from;
  while (low < count && KeyLess(keys[low], key)) {
    from = low + 1;
    low += step;
    step *= 2;
  }
  low = std::min(low, count);
  while (from < low) {
    idx_t middle = (from + low) / 2;
    if (KeyLess(keys[middle], key)) {
      from = middle + 1;
    } else {
      low = middle;
    }
  }
  return from;
}

/// One run of the upper side: goes along with ascending keys and keeps the rows that they meet.
/// Threads: one at a time. Throws: as RunReader.
template <typename Key>
class UpperRun {
 public:
  UpperRun(const LsmContext& context, const KeyValueLayout& layout, std::string folder,
           std::vector<DataFileMeta> files, MergeReadOptions read, DeletionVectors& found)
      : context_(context),
        layout_(layout),
        folder_(std::move(folder)),
        files_(std::move(files)),
        read_(std::move(read)),
        keys_of_(layout),
        found_(found) {
    read_.positions = true;
    for (const DataFileMeta& file : files_) {
      least_.emplace_back(layout, file.min_key);
      greatest_.emplace_back(layout, file.max_key);
    }
  }

  /// `keys` are those of `chunk`; none is below one of an earlier call.
  void Meet(const Key* keys, DataChunk& chunk) {
    idx_t count = chunk.size();
    for (idx_t i = 0; i < count;) {
      if (!Seek(keys[i], chunk, i)) return;
      const Key here = Here();
      i = FirstNotBelow(keys, i, count, here);
      // A file that only begins here is opened by the next search.
      if (i < count && is_open_ && SameKey(keys[i], here)) {
        Take();
        i++;
      }
    }
  }

 private:
  Key Here() const { return is_open_ ? keys_[position_] : least_[next_file_].Get(); }

  /// Moves to the first row whose key is not below `key` or, where that would be the first row of a
  /// file, before that file. False at the end of the run.
  bool Seek(const Key& key, DataChunk& chunk, idx_t row) {
    for (;;) {
      if (is_open_ && position_ < rows_.size()) {
        if (!KeyLess(keys_[rows_.size() - 1], key)) {
          position_ = FirstNotBelow(keys_, position_, rows_.size(), key);
          return true;
        }
        position_ = rows_.size();
      }
      if (is_open_ && Load()) continue;
      is_open_ = false;
      while (next_file_ < files_.size() && KeyLess(greatest_[next_file_].Get(), key)) next_file_++;
      if (next_file_ == files_.size()) return false;
      if (KeyLess(key, least_[next_file_].Get())) return true;
      Open(chunk.GetValue(0, row));
    }
  }

  /// The next file, without what lies below `first` in the key's first column.
  void Open(const Value& first) {
    MergeReadOptions read = read_;
    read.prune.push_back({layout_.key[0], FilePredicate::Op::kGreaterEqual, first});
    file_ = &files_[next_file_++];
    reader_ = std::make_unique<RunReader>(context_, layout_, folder_,
                                          std::vector<DataFileMeta>{*file_}, std::move(read));
    rows_.Destroy();
    rows_.Initialize(duckdb::Allocator::DefaultAllocator(), reader_->Types());
    position_ = 0;
    is_open_ = true;
  }

  bool Load() {
    rows_.Reset();
    position_ = 0;
    if (!reader_->Next(rows_)) return false;
    keys_ = keys_of_.Of(rows_);
    if (keys_ == nullptr) {
      Throw(ErrorCode::kCorrupt, "Reading data file '{}': a key column has NULL",
            DataFilePath(folder_, *file_));
    }
    rows_.data[layout_.key.size()].ToUnifiedFormat(rows_.size(), positions_);
    return true;
  }

  void Take() {
    auto* positions = UnifiedVectorFormat::GetData<int64_t>(positions_);
    found_[file_->file_name].Add(positions[positions_.sel->get_index(position_++)]);
  }

  const LsmContext& context_;
  const KeyValueLayout& layout_;
  const std::string folder_;
  const std::vector<DataFileMeta> files_;
  MergeReadOptions read_;
  std::vector<KeptKey<Key>> least_, greatest_;  // Of each file.
  size_t next_file_ = 0;
  const DataFileMeta* file_ = nullptr;  // The open one.
  std::unique_ptr<RunReader> reader_;
  bool is_open_ = false;
  DataChunk rows_;
  ChunkKeys<Key> keys_of_;
  const Key* keys_ = nullptr;
  UnifiedVectorFormat positions_;
  idx_t position_ = 0;
  DeletionVectors& found_;
};

template <typename Key>
void MeetAll(MergeReader& lower, const KeyValueLayout& layout,
             std::vector<std::unique_ptr<UpperRun<Key>>>& runs,
             const std::function<void()>& each_chunk) {
  ChunkKeys<Key> keys_of(layout);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), lower.Types());
  for (chunk.Reset(); lower.Next(chunk); chunk.Reset()) {
    each_chunk();
    const Key* keys = keys_of.Of(chunk);
    if (keys == nullptr) Throw(ErrorCode::kCorrupt, "A key column of a new data file has NULL");
    for (auto& run : runs) run->Meet(keys, chunk);
  }
}

}  // namespace

DeletionVectors FindRowsAbove(const LsmContext& context, const KeyValueLayout& layout,
                              const std::string& folder, const std::vector<DataFileMeta>& lower,
                              const std::vector<DataFileMeta>& above, const MergeReadOptions& read,
                              const std::function<void()>& each_chunk) {
  DeletionVectors found;
  if (lower.empty() || above.empty()) return found;
  KeyValueLayout keys_only = layout;  // Which row of a key is the newest does not matter here.
  keys_only.sequence_fields.clear();
  MergeReadOptions keys;
  keys.fields = layout.key;
  keys.drop_deletes = false;
  keys.rows_of_file = read.rows_of_file;
  keys.fields_of_schema = read.fields_of_schema;
  MergeReader reader(context, keys_only, folder, lower, keys);
  auto with_runs = [&]<typename Key>(Key) {
    std::vector<std::unique_ptr<UpperRun<Key>>> runs;
    for (SortedRun& run : PackIntoRuns(above, KeyOrder(layout.KeyTypes()))) {
      runs.push_back(std::make_unique<UpperRun<Key>>(context, keys_only, folder,
                                                     std::move(run.files), keys, found));
    }
    MeetAll<Key>(reader, keys_only, runs, each_chunk);
  };
  if (IsIntegerKey(reader.Types())) {
    with_runs(int64_t{});
  } else {
    with_runs(string_t());
  }
  return found;
}

}  // namespace millrace
