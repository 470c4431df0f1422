#include "table/change_reader.h"

#include "duckdb/common/allocator.hpp"
#include "format/deletion_vector.h"
#include "lsm/merge_reader.h"
#include "lsm/sort_key.h"

namespace millrace {

namespace {

MergeReadOptions OptionsOf(const TableState& table, const Split& split,
                           const std::vector<idx_t>& columns) {
  MergeReadOptions options;
  options.fields = columns;
  options.merge = table.parsed.merge;
  options.drop_deletes = false;
  options.key_value = table.HasPrimaryKey();
  options.fields_of_schema = [&table](int64_t id) { return table.schemas.Get(id)->fields; };
  options.from_key = split.from_key;
  options.below_key = split.below_key;
  if (split.deletions.empty()) return options;
  options.rows_of_file = [&files = table.context.files,
                          deletions = split.deletions](const DataFileMeta& file) {
    FileRows rows;
    auto place = deletions.find(file.file_name);
    if (place != deletions.end()) rows.hidden = ReadDeletionVector(files, place->second);
    return rows;
  };
  return options;
}

/// Hands on what a reader of whole rows (key, sequence, kind, columns) gives.
template <typename Reader>
class WholeRowReader : public ChangeReader {
 public:
  WholeRowReader(const TableState& table, const Split& split, const std::vector<idx_t>& columns)
      : layout_(table.Layout()),
        keyed_(table.HasPrimaryKey()),
        columns_(columns.size()),
        reader_(table.lsm(), layout_, table.BucketFolder(split.partition, split.bucket),
                split.files, OptionsOf(table, split, columns)) {
    rows_.Initialize(duckdb::Allocator::DefaultAllocator(), reader_.Types());
  }

  bool Next(ChangeChunk& chunk) override {
    rows_.Reset();
    chunk.kinds.clear();
    if (!reader_.Next(rows_)) return false;
    if (keyed_) {
      UnifiedVectorFormat kinds;
      rows_.data[layout_.KindColumn()].ToUnifiedFormat(rows_.size(), kinds);
      const int8_t* values = UnifiedVectorFormat::GetData<int8_t>(kinds);
      chunk.kinds.resize(rows_.size());
      for (idx_t i = 0; i < rows_.size(); i++) {
        chunk.kinds[i] = static_cast<RowKind>(values[kinds.sel->get_index(i)] & 3);
      }
    }
    idx_t first = keyed_ ? layout_.ValueColumn(0) : 0;
    for (idx_t i = 0; i < columns_; i++) chunk.rows.data[i].Reference(rows_.data[first + i]);
    chunk.rows.SetCardinality(rows_.size());
    return true;
  }

 private:
  const KeyValueLayout layout_;
  const bool keyed_;
  const idx_t columns_;
  Reader reader_;
  DataChunk rows_;
};

/// One of two states during a comparison: its rows in key order, keys and values as bytes.
class DiffSide {
 public:
  DiffSide(const TableState& table, const KeyValueLayout& layout, const Split& split,
           const std::vector<idx_t>& all)
      : layout_(layout),
        reader_(table.lsm(), layout, table.BucketFolder(split.partition, split.bucket), split.files,
                DroppingDeletes(table, split, all)) {
    rows.Initialize(duckdb::Allocator::DefaultAllocator(), reader_.Types());
    picked.Initialize(kChunkRows);
  }

  static MergeReadOptions DroppingDeletes(const TableState& table, const Split& split,
                                          const std::vector<idx_t>& all) {
    MergeReadOptions options = OptionsOf(table, split, all);
    options.drop_deletes = true;
    return options;
  }

  /// Moves to the next chunk; forgets what was picked.
  void Load() {
    position = picked_count = 0;
    rows.Reset();
    if (!reader_.Next(rows)) {
      ended = true;
      return;
    }
    key_bytes_ = Normalise(0, layout_.key.size());
    value_bytes_ = Normalise(layout_.ValueColumn(0), layout_.fields.size());
  }
  bool AtChunkEnd() const { return position >= rows.size(); }
  const string_t& Key() const {
    return duckdb::FlatVector::GetData<string_t>(*key_bytes_)[position];
  }
  const string_t& Values() const {
    return duckdb::FlatVector::GetData<string_t>(*value_bytes_)[position];
  }
  void Pick() { picked.set_index(picked_count++, position); }

  DataChunk rows;
  idx_t position = 0;
  SelectionVector picked;
  idx_t picked_count = 0;
  bool ended = false;

 private:
  std::unique_ptr<Vector> Normalise(idx_t first, idx_t count) {
    DataChunk chosen;
    duckdb::vector<LogicalType> types;
    for (idx_t i = 0; i < count; i++) types.push_back(rows.data[first + i].GetType());
    chosen.InitializeEmpty(types);
    for (idx_t i = 0; i < count; i++) chosen.data[i].Reference(rows.data[first + i]);
    chosen.SetCardinality(rows.size());
    auto bytes = std::make_unique<Vector>(LogicalType::BLOB);
    NormaliseToBlobs(chosen, *bytes);
    bytes->Flatten(rows.size());
    return bytes;
  }

  const KeyValueLayout& layout_;
  MergeReader reader_;
  std::unique_ptr<Vector> key_bytes_;
  std::unique_ptr<Vector> value_bytes_;
};

std::vector<idx_t> AllFields(const TableState& table) {
  std::vector<idx_t> all(table.schema.fields.size());
  for (idx_t i = 0; i < all.size(); i++) all[i] = i;
  return all;
}

class DiffReader : public ChangeReader {
 public:
  DiffReader(const TableState& table, const Split& before, const Split& after,
             std::vector<idx_t> columns, bool keep_deletes)
      : layout_(table.Layout()),
        columns_(std::move(columns)),
        keep_deletes_(keep_deletes),
        before_(table, layout_, before, AllFields(table)),
        after_(table, layout_, after, AllFields(table)) {}

  bool Next(ChangeChunk& chunk) override {
    for (;;) {
      if (after_.AtChunkEnd() && !after_.ended) {
        if (Give(after_, RowKind::kInsert, chunk)) return true;
        after_.Load();
      } else if (before_.AtChunkEnd() && !before_.ended) {
        if (Give(before_, RowKind::kDelete, chunk)) return true;
        before_.Load();
      } else if (after_.ended && before_.ended) {
        return false;
      } else {
        CompareRows();
      }
    }
  }

 private:
  /// Hands out what was picked from a chunk that has been passed.
  bool Give(DiffSide& side, RowKind kind, ChangeChunk& chunk) {
    if (side.picked_count == 0) return false;
    for (idx_t i = 0; i < columns_.size(); i++) {
      chunk.rows.data[i].Slice(side.rows.data[layout_.ValueColumn(columns_[i])], side.picked,
                               side.picked_count);
    }
    chunk.rows.SetCardinality(side.picked_count);
    chunk.kinds.assign(side.picked_count, kind);
    side.picked_count = 0;
    return true;
  }

  /// Passes rows of both sides until a chunk of one has been passed.
  void CompareRows() {
    while (!after_.AtChunkEnd() && !before_.AtChunkEnd()) {
      if (after_.Key() == before_.Key()) {
        if (!(after_.Values() == before_.Values())) after_.Pick();
        after_.position++;
        before_.position++;
      } else if (after_.Key() < before_.Key()) {
        after_.Pick();
        after_.position++;
      } else {
        PassBefore();
      }
    }
    while (before_.ended && !after_.AtChunkEnd()) {
      after_.Pick();
      after_.position++;
    }
    while (after_.ended && !before_.AtChunkEnd()) PassBefore();
  }
  void PassBefore() {
    if (keep_deletes_) before_.Pick();
    before_.position++;
  }

  const KeyValueLayout layout_;
  const std::vector<idx_t> columns_;
  const bool keep_deletes_;
  DiffSide before_;
  DiffSide after_;
};

}  // namespace

std::unique_ptr<ChangeReader> MakeFileChangeReader(const TableState& table, const Split& split,
                                                   const std::vector<idx_t>& columns) {
  return std::make_unique<WholeRowReader<RunReader>>(table, split, columns);
}

std::unique_ptr<ChangeReader> MakeStateChangeReader(const TableState& table, const Split& split,
                                                    const std::vector<idx_t>& columns) {
  if (!table.HasPrimaryKey()) return MakeFileChangeReader(table, split, columns);
  return std::make_unique<WholeRowReader<MergeReader>>(table, split, columns);
}

std::unique_ptr<ChangeReader> MakeDiffReader(const TableState& table, const Split& before,
                                             const Split& after, const std::vector<idx_t>& columns,
                                             bool keep_deletes) {
  return std::make_unique<DiffReader>(table, before, after, columns, keep_deletes);
}

}  // namespace millrace
