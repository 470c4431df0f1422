#include "lsm/write_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "lsm/radix_sort.h"
#include "lsm/scatter.h"
#include "lsm/sort_key.h"

namespace millrace {

namespace {

constexpr idx_t kInitialRows = 4 * kChunkRows;
// Row numbers are 32 bits.
constexpr idx_t kRowsMax = 2'000'000'000;

/// The eight bytes from `from` on, so that integers compare as the bytes do.
uint64_t PrefixAt(const string_t& blob, idx_t from) {
  unsigned char bytes[8] = {};
  if (blob.GetSize() > from) {
    std::memcpy(bytes, blob.GetData() + from, std::min<idx_t>(8, blob.GetSize() - from));
  }
  uint64_t prefix = 0;
  for (unsigned char byte : bytes) prefix = prefix << 8 | byte;
  return prefix;
}

/// Normalised keys of all rows, with the vectors that hold their bytes.
struct Blobs {
  std::vector<Vector> holders;
  std::vector<string_t> keys;
};

idx_t CommonPrefix(const std::vector<string_t>& keys) {
  idx_t common = keys[0].GetSize();
  const char* first = keys[0].GetData();
  for (const string_t& key : keys) {
    idx_t length = std::min<idx_t>(common, key.GetSize());
    const char* data = key.GetData();
    idx_t same = 0;
    while (same < length && data[same] == first[same]) same++;
    common = same;
    if (common == 0) break;
  }
  return common;
}

}  // namespace

struct WriteBuffer::State {
  KeyValueLayout layout;
  WriteBufferOptions options;
  std::unique_ptr<MergeFunction> function;
  duckdb::vector<LogicalType> value_types;
  duckdb::vector<LogicalType> key_types;
  std::vector<Vector> columns;  // One per field, `capacity` rows each.
  std::vector<uint8_t> kinds;
  idx_t capacity = 0;
  idx_t count = 0;
  int64_t first_sequence = 0;
  int64_t heap_bytes = 0;  // Strings and nested values, beside the fixed part.
  idx_t fixed_row_bytes = 1;

  void Reserve(idx_t rows) {
    if (rows <= capacity) return;
    idx_t wanted = std::max(rows, capacity * 2);
    for (Vector& column : columns) column.Resize(capacity, wanted);
    capacity = wanted;
  }

  void StartColumns() {
    columns.clear();
    capacity = kInitialRows;
    for (const LogicalType& type : value_types) columns.emplace_back(type, capacity);
    kinds.clear();
    count = 0;
    heap_bytes = 0;
  }

  bool Ignores(RowKind kind) const {
    if (IsAdd(kind)) return false;
    return options.merge.ignore_delete ||
           (options.ignore_update_before && kind == RowKind::kUpdateBefore);
  }

  void CheckKeys(ChangeChunk& chunk, const SelectionVector& rows, idx_t row_count) {
    for (idx_t index : layout.key) {
      UnifiedVectorFormat format;
      chunk.rows.data[index].ToUnifiedFormat(chunk.size(), format);
      if (format.validity.AllValid()) continue;
      for (idx_t i = 0; i < row_count; i++) {
        if (!format.validity.RowIsValid(format.sel->get_index(rows.get_index(i)))) {
          Throw(ErrorCode::kData, "Writing a row: primary key column '{}' is NULL",
                layout.fields[index].name);
        }
      }
    }
  }

  void CountHeap(Vector& source, const SelectionVector& rows, idx_t row_count, idx_t chunk_rows) {
    if (source.GetType().InternalType() == duckdb::PhysicalType::VARCHAR) {
      UnifiedVectorFormat format;
      source.ToUnifiedFormat(chunk_rows, format);
      auto* strings = UnifiedVectorFormat::GetData<string_t>(format);
      for (idx_t i = 0; i < row_count; i++) {
        idx_t at = format.sel->get_index(rows.get_index(i));
        if (format.validity.RowIsValid(at) && !strings[at].IsInlined()) {
          heap_bytes += strings[at].GetSize();
        }
      }
    } else if (source.GetType().IsNested()) {
      heap_bytes += static_cast<int64_t>(source.GetAllocationSize(chunk_rows) * row_count /
                                         std::max<idx_t>(1, chunk_rows));
    }
  }

  void Append(ChangeChunk& chunk, const SelectionVector& rows, idx_t row_count) {
    if (row_count == 0) return;
    CheckKeys(chunk, rows, row_count);
    MILLRACE_CHECK(count + row_count <= kRowsMax);
    Reserve(count + row_count);
    for (idx_t i = 0; i < columns.size(); i++) {
      Vector& source = chunk.rows.data[i];
      CountHeap(source, rows, row_count, chunk.size());
      duckdb::VectorOperations::Copy(source, columns[i], rows, row_count, 0, count);
    }
    for (idx_t i = 0; i < row_count; i++) {
      kinds.push_back(static_cast<uint8_t>(chunk.KindOf(rows.get_index(i))));
    }
    count += row_count;
  }

  /// Normalised bytes of `fields` in every row.
  Blobs BlobsOf(const std::vector<idx_t>& fields, bool descending = false) {
    Blobs blobs;
    duckdb::vector<LogicalType> types;
    for (idx_t field : fields) types.push_back(value_types[field]);
    DataChunk slice;
    slice.InitializeEmpty(types);
    for (idx_t start = 0; start < count; start += kChunkRows) {
      idx_t end = std::min(count, start + kChunkRows);
      for (idx_t i = 0; i < fields.size(); i++) slice.data[i].Slice(columns[fields[i]], start, end);
      slice.SetCardinality(end - start);
      blobs.holders.emplace_back(LogicalType(LogicalTypeId::BLOB));
      NormaliseToBlobs(slice, blobs.holders.back(), descending);
      auto* keys = duckdb::FlatVector::GetData<string_t>(blobs.holders.back());
      blobs.keys.insert(blobs.keys.end(), keys, keys + (end - start));
    }
    return blobs;
  }

  /// Row numbers sorted by (key, user sequence, sequence); starts[i] begins the i-th key.
  void Sort(std::vector<SortEntry>& order, std::vector<uint32_t>& starts) {
    order.resize(count);
    if (IsIntegerKey(key_types)) {
      SortIntegers(order, starts);
    } else {
      SortBlobs(order, starts);
    }
    starts.push_back(static_cast<uint32_t>(count));
    if (!layout.sequence_fields.empty()) SortBySequenceFields(order, starts);
  }

  void SortIntegers(std::vector<SortEntry>& order, std::vector<uint32_t>& starts) {
    std::vector<int64_t> keys(count);
    MILLRACE_CHECK(ToIntegers(columns[layout.key[0]], count, keys.data()));
    for (idx_t i = 0; i < count; i++) {
      order[i] = {static_cast<uint64_t>(keys[i]) ^ (uint64_t(1) << 63), static_cast<uint32_t>(i)};
    }
    RadixSort(order);
    for (idx_t i = 0; i < count; i++) {
      if (i == 0 || order[i].key != order[i - 1].key) starts.push_back(static_cast<uint32_t>(i));
    }
  }

  void SortBlobs(std::vector<SortEntry>& order, std::vector<uint32_t>& starts) {
    Blobs blobs = BlobsOf(layout.key);
    idx_t common = CommonPrefix(blobs.keys);
    for (idx_t i = 0; i < count; i++) {
      order[i] = {PrefixAt(blobs.keys[i], common), static_cast<uint32_t>(i)};
    }
    RadixSort(order);
    // A run of equal prefixes is sorted by what follows (a zero may be padding: look at it again).
    for (idx_t start = 0; start < count;) {
      idx_t end = start + 1;
      while (end < count && order[end].key == order[start].key) end++;
      if (end - start > 1) {
        std::sort(order.begin() + start, order.begin() + end, [&](auto& a, auto& b) {
          int cmp = CompareBlobs(blobs.keys[a.row], blobs.keys[b.row], common);
          return cmp != 0 ? cmp < 0 : a.row < b.row;
        });
      }
      for (idx_t i = start; i < end; i++) {
        if (i == start ||
            CompareBlobs(blobs.keys[order[i].row], blobs.keys[order[i - 1].row], common) != 0) {
          starts.push_back(static_cast<uint32_t>(i));
        }
      }
      start = end;
    }
  }

  void SortBySequenceFields(std::vector<SortEntry>& order, const std::vector<uint32_t>& starts) {
    Blobs blobs = BlobsOf(layout.sequence_fields, layout.sequence_descending);
    for (idx_t group = 0; group + 1 < starts.size(); group++) {
      if (starts[group + 1] - starts[group] < 2) continue;
      std::sort(order.begin() + starts[group], order.begin() + starts[group + 1],
                [&](auto& a, auto& b) {
                  int cmp = CompareBlobs(blobs.keys[a.row], blobs.keys[b.row], 0);
                  return cmp != 0 ? cmp < 0 : a.row < b.row;
                });
    }
  }

  /// Sends all rows in order.
  void SendAll(const std::vector<SortEntry>& order, const ChunkReceiver& receive) {
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout.RowTypes());
    std::vector<uint32_t> rows(kChunkRows);
    for (idx_t start = 0; start < count; start += kChunkRows) {
      idx_t size = std::min<idx_t>(kChunkRows, count - start);
      chunk.Reset();
      for (idx_t i = 0; i < size; i++) rows[i] = order[start + i].row;
      FillSequences(rows.data(), size,
                    duckdb::FlatVector::GetData<int8_t>(chunk.data[layout.KindColumn()]),
                    duckdb::FlatVector::GetData<int64_t>(chunk.data[layout.SequenceColumn()]));
      for (idx_t i = 0; i < columns.size(); i++) {
        Gather(columns[i], rows.data(), size, chunk.data[layout.ValueColumn(i)]);
      }
      FinishChunk(chunk, size);
      receive(chunk);
    }
  }

  void FillSequences(const uint32_t* rows, idx_t size, int8_t* kind_bytes, int64_t* sequences) {
    for (idx_t i = 0; i < size; i++) {
      sequences[i] = first_sequence + rows[i];
      kind_bytes[i] = static_cast<int8_t>(kinds[rows[i]]);
    }
  }

  void FinishChunk(DataChunk& chunk, idx_t size) {
    for (idx_t i = 0; i < layout.key.size(); i++) {
      chunk.data[i].Reference(chunk.data[layout.ValueColumn(layout.key[i])]);
    }
    chunk.SetCardinality(size);
  }

  /// Sends one row per key.
  void SendMerged(const std::vector<SortEntry>& order, const std::vector<uint32_t>& starts,
                  const ChunkReceiver& receive) {
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout.RowTypes());
    std::vector<uint32_t> rows, batch_starts;
    std::vector<int8_t> row_kinds;
    std::vector<int64_t> row_sequences;
    for (idx_t group = 0; group + 1 < starts.size(); group += kChunkRows) {
      idx_t size = std::min<idx_t>(kChunkRows, starts.size() - 1 - group);
      uint32_t first = starts[group];
      batch_starts.assign(starts.begin() + group, starts.begin() + group + size + 1);
      for (uint32_t& start : batch_starts) start -= first;
      idx_t row_count = batch_starts.back();
      rows.resize(row_count);
      row_kinds.resize(row_count);
      row_sequences.resize(row_count);
      for (idx_t i = 0; i < row_count; i++) rows[i] = order[first + i].row;
      FillSequences(rows.data(), row_count, row_kinds.data(), row_sequences.data());
      const MergedKeys& keys = function->Begin(
          {{batch_starts.data(), size}, rows.data(), row_kinds.data(), row_sequences.data()},
          [this](idx_t field) -> Vector& { return columns[field]; });
      chunk.Reset();
      std::copy(keys.sequences.begin(), keys.sequences.end(),
                duckdb::FlatVector::GetData<int64_t>(chunk.data[layout.SequenceColumn()]));
      std::copy(keys.kinds.begin(), keys.kinds.end(),
                duckdb::FlatVector::GetData<int8_t>(chunk.data[layout.KindColumn()]));
      for (idx_t i = 0; i < columns.size(); i++) {
        function->MergeColumn(i, columns[i], chunk.data[layout.ValueColumn(i)]);
      }
      FinishChunk(chunk, size);
      receive(chunk);
    }
  }
};

WriteBuffer::WriteBuffer(KeyValueLayout layout, int64_t next_sequence_number,
                         WriteBufferOptions options)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.layout = std::move(layout);
  state.options = std::move(options);
  std::vector<idx_t> all;
  for (idx_t i = 0; i < state.layout.fields.size(); i++) all.push_back(i);
  state.function = MakeMergeFunction(state.options.merge, state.layout, std::move(all));
  state.first_sequence = next_sequence_number;
  state.value_types = state.layout.ValueTypes();
  for (idx_t index : state.layout.key) state.key_types.push_back(state.value_types[index]);
  for (const LogicalType& type : state.value_types) {
    state.fixed_row_bytes += duckdb::GetTypeIdSize(type.InternalType());
  }
  MILLRACE_CHECK(!state.layout.key.empty());
  state.StartColumns();
}

WriteBuffer::~WriteBuffer() = default;

void WriteBuffer::Add(ChangeChunk& chunk) {
  SelectionVector all(0, chunk.size());
  Add(chunk, all, chunk.size());
}

void WriteBuffer::Add(ChangeChunk& chunk, const SelectionVector& rows, idx_t count) {
  State& state = *state_;
  MILLRACE_CHECK(chunk.rows.ColumnCount() == state.columns.size());
  if (chunk.kinds.empty() ||
      (!state.options.merge.ignore_delete && !state.options.ignore_update_before)) {
    state.Append(chunk, rows, count);
    return;
  }
  SelectionVector kept(std::max<idx_t>(count, 1));
  idx_t kept_count = 0;
  for (idx_t i = 0; i < count; i++) {
    idx_t row = rows.get_index(i);
    if (!state.Ignores(chunk.kinds[row])) kept.set_index(kept_count++, row);
  }
  state.Append(chunk, kept, kept_count);
}

bool WriteBuffer::Empty() const {
  return state_->count == 0;
}
idx_t WriteBuffer::RowCount() const {
  return state_->count;
}

int64_t WriteBuffer::MemoryBytes() const {
  // What a flush will need on top: sort entries twice, and normalised keys at worst.
  constexpr int64_t kSortRowBytes = 2 * sizeof(SortEntry) + 8;
  return static_cast<int64_t>(state_->count) *
             (static_cast<int64_t>(state_->fixed_row_bytes) + kSortRowBytes) +
         state_->heap_bytes;
}

int64_t WriteBuffer::next_sequence_number() const {
  return state_->first_sequence + static_cast<int64_t>(state_->count);
}

void WriteBuffer::Flush(const ChunkReceiver& merged, const ChunkReceiver& raw) {
  State& state = *state_;
  if (state.count == 0) return;
  std::vector<SortEntry> order;
  std::vector<uint32_t> starts;
  state.Sort(order, starts);
  if (raw) state.SendAll(order, raw);
  state.SendMerged(order, starts, merged);
  state.first_sequence = next_sequence_number();
  state.StartColumns();
}

}  // namespace millrace
