// row_hash.cc - Murmur hashes of whole columns.
//
// The hash runs over the words of the row front to back, and where all columns lie in their slots
// the words come column by column. So the running hashes of a chunk's rows are kept side by side
// and each column is mixed into all of them in one tight loop, without building a row. Columns with
// bytes outside the slots need the row itself, built into one reused buffer.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "meta/binary_row.h"
#include "meta/murmur.h"
#include "meta/row_codec.h"

namespace millrace {

namespace {

using duckdb::PhysicalType;

bool LiesInSlot(SlotKind kind) {
  return kind != SlotKind::kBytes && kind != SlotKind::kBigDecimal &&
         kind != SlotKind::kMillisOutside;
}

struct Column {
  const DataType* type;
  SlotKind kind;
  PhysicalType physical;
  UnifiedVectorFormat format;
};

/// Mixes slots made by `slot_of(value)` of a column of T; nulls are slots of zeros.
template <typename T, typename SlotOf>
void MixColumn(const UnifiedVectorFormat& format, idx_t rows, uint32_t* hashes, SlotOf slot_of) {
  const T* values = DataOf<T>(format);
  if (format.validity.AllValid() && !format.sel->data()) {
    for (idx_t i = 0; i < rows; i++) hashes[i] = MurmurMixLong(hashes[i], slot_of(values[i]));
    return;
  }
  for (idx_t i = 0; i < rows; i++) {
    idx_t at = format.sel->get_index(i);
    uint64_t slot = format.validity.RowIsValid(at) ? slot_of(values[at]) : 0;
    hashes[i] = MurmurMixLong(hashes[i], slot);
  }
}

uint64_t BitsOf(float value) {
  return std::bit_cast<uint32_t>(value);
}
uint64_t BitsOf(double value) {
  return std::bit_cast<uint64_t>(value);
}
template <typename T>
uint64_t BitsOf(T value) {
  return static_cast<uint64_t>(static_cast<std::make_unsigned_t<T>>(value));
}

void MixSlots(const Column& column, idx_t rows, uint32_t* hashes) {
  const UnifiedVectorFormat& format = column.format;
  if (column.kind == SlotKind::kDecimal) {  // The slot is 64 bits wide whatever DuckDB's width is.
    auto widen = [](auto value) { return static_cast<uint64_t>(static_cast<int64_t>(value)); };
    if (column.physical == PhysicalType::INT16)
      return MixColumn<int16_t>(format, rows, hashes, widen);
    if (column.physical == PhysicalType::INT32)
      return MixColumn<int32_t>(format, rows, hashes, widen);
    return MixColumn<int64_t>(format, rows, hashes, widen);
  }
  if (column.kind == SlotKind::kTimeMillis) {
    return MixColumn<int64_t>(format, rows, hashes, [](int64_t micros) {
      return static_cast<uint64_t>(static_cast<uint32_t>(micros / 1000));
    });
  }
  if (column.kind == SlotKind::kMillis) {
    return MixColumn<int64_t>(format, rows, hashes, [](int64_t micros) {
      return static_cast<uint64_t>(SplitMicros(micros).millis);
    });
  }
  auto bits = [](auto value) { return BitsOf(value); };
  switch (column.physical) {
    case PhysicalType::BOOL:
    case PhysicalType::INT8:
      return MixColumn<int8_t>(format, rows, hashes, bits);
    case PhysicalType::INT16:
      return MixColumn<int16_t>(format, rows, hashes, bits);
    case PhysicalType::INT32:
      return MixColumn<int32_t>(format, rows, hashes, bits);
    case PhysicalType::INT64:
      return MixColumn<int64_t>(format, rows, hashes, bits);
    case PhysicalType::FLOAT:
      return MixColumn<float>(format, rows, hashes, bits);
    case PhysicalType::DOUBLE:
      return MixColumn<double>(format, rows, hashes, bits);
    default:
      MILLRACE_CHECK(false);
  }
}

/// Starts the hashes with the rows' headers, which hold their null bits.
void MixHeaders(const std::vector<Column>& columns, idx_t rows, uint32_t* hashes) {
  std::array<uint64_t, kChunkRows> words;
  idx_t header_words = HeaderBytes(columns.size()) / 8;
  bool no_nulls = std::all_of(columns.begin(), columns.end(), [](const Column& column) {
    return column.format.validity.AllValid();
  });
  if (no_nulls) {  // The same header for every row.
    uint32_t hash = kMurmurSeed;
    for (idx_t word = 0; word < header_words; word++) hash = MurmurMixLong(hash, 0);
    std::fill_n(hashes, rows, hash);
    return;
  }
  std::fill_n(hashes, rows, kMurmurSeed);
  for (idx_t word = 0; word < header_words; word++) {
    std::fill_n(words.begin(), rows, 0);
    for (idx_t field = 0; field < columns.size(); field++) {
      idx_t bit = 8 + field;
      const UnifiedVectorFormat& format = columns[field].format;
      if (bit / 64 != word || format.validity.AllValid()) continue;
      for (idx_t i = 0; i < rows; i++) {
        if (!format.validity.RowIsValid(format.sel->get_index(i)))
          words[i] |= uint64_t{1} << (bit % 64);
      }
    }
    for (idx_t i = 0; i < rows; i++) hashes[i] = MurmurMixLong(hashes[i], words[i]);
  }
}

void PutColumnValue(RowWriter& writer, idx_t field, const Column& column, idx_t at) {
  const UnifiedVectorFormat& format = column.format;
  switch (column.kind) {
    case SlotKind::kBytes: {
      const string_t& bytes = DataOf<string_t>(format)[at];
      return writer.PutBytes(field, bytes.GetData(), bytes.GetSize());
    }
    case SlotKind::kBigDecimal:
      return writer.PutBigDecimal(field, DataOf<duckdb::hugeint_t>(format)[at]);
    case SlotKind::kMillis:
    case SlotKind::kMillisOutside: {
      int64_t number = DataOf<int64_t>(format)[at];
      return writer.PutTimestamp(
          field, column.type->length > 6 ? SplitNanos(number) : SplitMicros(number), column.kind);
    }
    case SlotKind::kTimeMillis:
      return writer.Put(field, static_cast<int32_t>(DataOf<int64_t>(format)[at] / 1000));
    case SlotKind::kDecimal:
      if (column.physical == PhysicalType::INT16) {
        return writer.Put(field, int64_t{DataOf<int16_t>(format)[at]});
      }
      if (column.physical == PhysicalType::INT32) {
        return writer.Put(field, int64_t{DataOf<int32_t>(format)[at]});
      }
      return writer.Put(field, DataOf<int64_t>(format)[at]);
    case SlotKind::kByte:
      return writer.Put(field, DataOf<int8_t>(format)[at]);
    case SlotKind::kShort:
      return writer.Put(field, DataOf<int16_t>(format)[at]);
    case SlotKind::kInt:
      return writer.Put(field, DataOf<int32_t>(format)[at]);
    case SlotKind::kLong:
      return writer.Put(field, DataOf<int64_t>(format)[at]);
    case SlotKind::kNested:
      MILLRACE_CHECK(false);
  }
}

void HashBuiltRows(const std::vector<Column>& columns, idx_t rows, std::vector<int32_t>& out) {
  RowWriter writer(columns.size());
  for (idx_t row = 0; row < rows; row++) {
    writer.Reset();
    for (idx_t field = 0; field < columns.size(); field++) {
      idx_t at = columns[field].format.sel->get_index(row);
      if (columns[field].format.validity.RowIsValid(at)) {
        PutColumnValue(writer, field, columns[field], at);
      } else {
        writer.PutNull(field, columns[field].kind);
      }
    }
    out[row] = HashBytesByWords(writer.row().data(), writer.row().size());
  }
}

}  // namespace

void HashRows(const std::vector<DataType>& types, DataChunk& chunk,
              const std::vector<idx_t>& columns, std::vector<int32_t>& out) {
  MILLRACE_CHECK(types.size() == columns.size());
  idx_t rows = chunk.size();
  out.resize(rows);
  std::vector<Column> sources(columns.size());
  bool all_in_slots = rows <= kChunkRows;
  for (idx_t i = 0; i < columns.size(); i++) {
    Vector& vector = chunk.data[columns[i]];
    sources[i].type = &types[i];
    sources[i].kind = SlotKindOf(types[i]);
    sources[i].physical = vector.GetType().InternalType();
    if (sources[i].kind == SlotKind::kNested) {
      Throw(ErrorCode::kUnsupported, "Type {} cannot be part of a key", types[i].ToString());
    }
    MILLRACE_CHECK(sources[i].physical == types[i].ToDuck().InternalType());
    vector.ToUnifiedFormat(rows, sources[i].format);
    all_in_slots = all_in_slots && LiesInSlot(sources[i].kind);
  }
  if (!all_in_slots) return HashBuiltRows(sources, rows, out);
  std::array<uint32_t, kChunkRows> hashes;
  MixHeaders(sources, rows, hashes.data());
  for (const Column& column : sources) MixSlots(column, rows, hashes.data());
  auto length = static_cast<uint32_t>(HeaderBytes(columns.size()) + columns.size() * 8);
  for (idx_t i = 0; i < rows; i++) out[i] = MurmurFinish(hashes[i], length);
}

}  // namespace millrace
