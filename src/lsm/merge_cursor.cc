#include "lsm/merge_cursor.h"

#include "base/error.h"
#include "lsm/sort_key.h"

namespace millrace {

namespace {

duckdb::vector<LogicalType> TypesOf(const ReadPlan& plan, const std::vector<idx_t>& columns) {
  duckdb::vector<LogicalType> types;
  for (idx_t column : columns) types.push_back(plan.columns[column].type.ToDuck());
  return types;
}

/// Bytes of `columns` of `chunk`, kept in `holder`.
const string_t* Normalise(DataChunk& chunk, const std::vector<idx_t>& columns, DataChunk& scratch,
                          std::unique_ptr<Vector>& holder, bool descending = false) {
  for (idx_t i = 0; i < columns.size(); i++) scratch.data[i].Reference(chunk.data[columns[i]]);
  scratch.SetCardinality(chunk.size());
  holder = std::make_unique<Vector>(LogicalType(LogicalTypeId::BLOB));
  NormaliseToBlobs(scratch, *holder, descending);
  return duckdb::FlatVector::GetData<string_t>(*holder);
}

}  // namespace

template <typename Key>
MergeCursor<Key>::MergeCursor(RunScan scan, const ReadPlan& plan)
    : scan_(std::move(scan)), plan_(plan) {
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), plan.Types());
  key_chunk_.InitializeEmpty(TypesOf(plan, plan.key));
  if (!plan.sequence_fields.empty()) {
    user_sequence_chunk_.InitializeEmpty(TypesOf(plan, plan.sequence_fields));
  }
  if constexpr (std::is_same_v<Key, int64_t>) integers_.resize(kChunkRows);
}

template <typename Key>
bool MergeCursor<Key>::Load() {
  position = 0;
  if (!scan_.Next(chunk)) return false;
  LoadKeys();
  if (!plan_.sequence_fields.empty()) {
    user_sequences_ = Normalise(chunk, plan_.sequence_fields, user_sequence_chunk_,
                                user_sequence_blobs_, plan_.sequence_descending);
  }
  chunk.data[plan_.kind].ToUnifiedFormat(chunk.size(), kinds_);
  chunk.data[plan_.sequence].ToUnifiedFormat(chunk.size(), sequences_);
  kind_data_ = UnifiedVectorFormat::GetData<int8_t>(kinds_);
  sequence_data_ = UnifiedVectorFormat::GetData<int64_t>(sequences_);
  if (!kinds_.validity.AllValid() || !sequences_.validity.AllValid()) {
    Throw(ErrorCode::kCorrupt, "Reading data file '{}': it has no _SEQUENCE_NUMBER or _VALUE_KIND",
          scan_.CurrentPath());
  }
  has_deletes = false;
  for (idx_t row = 0; row < chunk.size(); row++) has_deletes |= !IsAdd(KindAt(row));
  return true;
}

template <typename Key>
void MergeCursor<Key>::LoadKeys() {
  if constexpr (std::is_same_v<Key, int64_t>) {
    if (!ToIntegers(chunk.data[plan_.key[0]], chunk.size(), integers_.data())) {
      Throw(ErrorCode::kCorrupt, "Reading data file '{}': key column '{}' has NULL",
            scan_.CurrentPath(), plan_.columns[plan_.key[0]].name);
    }
    keys = integers_.data();
  } else {
    keys = Normalise(chunk, plan_.key, key_chunk_, blobs_);
  }
}

template class MergeCursor<int64_t>;
template class MergeCursor<string_t>;

}  // namespace millrace
