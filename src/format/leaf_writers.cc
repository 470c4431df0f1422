#include "format/leaf_writers.h"

#include <cmath>

#include "parquet_bss_encoder.hpp"
#include "parquet_rle_bp_decoder.hpp"
#include "parquet_timestamp.hpp"

#include "writer/templated_column_writer.hpp"  // It wants the encoders declared before it.

namespace millrace {

namespace {

constexpr int64_t kNanosPerDay = 86'400'000'000'000;
constexpr int64_t kJulianDayOfEpoch = 2'440'588;

/// Writes 64-bit values one by one as `Stored`, without dictionary and statistics.
template <typename Stored>
class PlainWriter : public duckdb::PrimitiveColumnWriter {
 public:
  explicit PlainWriter(duckdb::ColumnWriter& replaced)
      : PrimitiveColumnWriter(replaced.writer, duckdb::ParquetColumnSchema(replaced.Schema()),
                              replaced.schema_path) {
    can_have_nulls = replaced.can_have_nulls;
    parent = replaced.parent;
  }

 protected:
  virtual Stored Store(int64_t value) const = 0;

  idx_t GetRowSize(const Vector&, idx_t, const duckdb::PrimitiveColumnWriterState&) const override {
    return sizeof(Stored);
  }

  void WriteVector(duckdb::WriteStream& stream, duckdb::ColumnWriterStatistics*,
                   duckdb::ColumnWriterPageState*, Vector& vector, idx_t start,
                   idx_t end) override {
    const auto& validity = duckdb::FlatVector::Validity(vector);
    const auto* values = reinterpret_cast<const int64_t*>(duckdb::FlatVector::GetData(vector));
    std::vector<Stored> stored;
    stored.reserve(end - start);
    for (idx_t i = start; i < end; i++) {
      if (validity.RowIsValid(i)) stored.push_back(Store(values[i]));
    }
    stream.WriteData(duckdb::const_data_ptr_cast(stored.data()), stored.size() * sizeof(Stored));
  }
};

/// Nanoseconds of the day in 8 bytes, then the Julian day in 4.
class Int96Writer : public PlainWriter<duckdb::Int96> {
 public:
  using PlainWriter::PlainWriter;

  idx_t FinalizeSchema(duckdb::vector<duckdb_parquet::SchemaElement>& schemas) override {
    idx_t result = PrimitiveColumnWriter::FinalizeSchema(schemas);
    auto& element = schemas[SchemaIndex()];
    element.type = duckdb_parquet::Type::INT96;
    element.__isset.logicalType = false;
    element.__isset.converted_type = false;
    return result;
  }

 protected:
  duckdb::Int96 Store(int64_t nanos) const override {
    int64_t of_day = nanos % kNanosPerDay;
    if (of_day < 0) of_day += kNanosPerDay;
    int64_t day = (nanos - of_day) / kNanosPerDay + kJulianDayOfEpoch;
    duckdb::Int96 stored{};
    stored.value[0] = static_cast<uint32_t>(of_day);
    stored.value[1] = static_cast<uint32_t>(of_day >> 32);
    stored.value[2] = static_cast<uint32_t>(day);
    return stored;
  }
};

class TimeMillisWriter : public PlainWriter<int32_t> {
 public:
  using PlainWriter::PlainWriter;

  idx_t FinalizeSchema(duckdb::vector<duckdb_parquet::SchemaElement>& schemas) override {
    idx_t result = PrimitiveColumnWriter::FinalizeSchema(schemas);
    schemas[SchemaIndex()].type = duckdb_parquet::Type::INT32;
    return result;
  }

 protected:
  int32_t Store(int64_t micros) const override { return static_cast<int32_t>(micros / 1000); }
};

/// Gives up the dictionary of a row group that holds -0.0 or NaN: DuckDB looks values up by ==,
/// which takes -0.0 for 0.0 and never finds a NaN.
template <typename T>
class FloatWriter : public duckdb::StandardColumnWriter<T, T, duckdb::FloatingPointOperator> {
  using Base = duckdb::StandardColumnWriter<T, T, duckdb::FloatingPointOperator>;
  using State = duckdb::StandardColumnWriterState<T, T, duckdb::FloatingPointOperator>;

 public:
  explicit FloatWriter(duckdb::ColumnWriter& replaced)
      : Base(replaced.writer, duckdb::ParquetColumnSchema(replaced.Schema()),
             replaced.schema_path) {
    this->can_have_nulls = replaced.can_have_nulls;
    this->parent = replaced.parent;
  }

  duckdb::unique_ptr<duckdb::ColumnWriterState> InitializeWriteState(
      duckdb_parquet::RowGroup& row_group) override {
    needs_plain_ = false;
    return Base::InitializeWriteState(row_group);
  }

  void Analyze(duckdb::ColumnWriterState& state, duckdb::ColumnWriterState* parent, Vector& vector,
               idx_t count) override {
    const T* values = duckdb::FlatVector::GetData<T>(vector);
    // A null's value may be anything: giving up a dictionary for it does no harm.
    for (idx_t i = 0; i < count; i++) {
      needs_plain_ |= (values[i] == 0 && std::signbit(values[i])) || std::isnan(values[i]);
    }
    if (!needs_plain_) Base::Analyze(state, parent, vector, count);
  }

  void FinalizeAnalyze(duckdb::ColumnWriterState& state) override {
    Base::FinalizeAnalyze(state);
    if (!needs_plain_) return;
    auto& own = state.Cast<State>();
    own.dictionary.Reset();
    own.encoding = duckdb_parquet::Encoding::PLAIN;
  }

 private:
  bool needs_plain_ = false;
};

/// Child writers are read-only to the public, but nothing else may put another in their place.
duckdb::unique_ptr<duckdb::ColumnWriter>& Child(const duckdb::ColumnWriter& writer, idx_t i) {
  return const_cast<duckdb::unique_ptr<duckdb::ColumnWriter>&>(writer.ChildWriters()[i]);
}

bool IsFine(const DataType& type) {
  return (type.root == TypeRoot::kTimestamp || type.root == TypeRoot::kTimestampLtz) &&
         type.length > 6;
}

/// The writers inside a nested column's and their types.
std::vector<std::pair<duckdb::unique_ptr<duckdb::ColumnWriter>*, DataType>> Inside(
    const duckdb::ColumnWriter& writer, const DataType& type) {
  switch (type.root) {
    case TypeRoot::kArray:
      return {{&Child(writer, 0), type.children[0]}};
    case TypeRoot::kMap:
    case TypeRoot::kMultiset: {
      const duckdb::ColumnWriter& entries = *Child(writer, 0);
      DataType value = type.root == TypeRoot::kMap ? type.children[1] : DataType();
      return {{&Child(entries, 0), type.children[0]}, {&Child(entries, 1), value}};
    }
    case TypeRoot::kRow: {
      std::vector<std::pair<duckdb::unique_ptr<duckdb::ColumnWriter>*, DataType>> members;
      for (size_t i = 0; i < type.fields.size(); i++) {
        members.emplace_back(&Child(writer, i), type.fields[i].type);
      }
      return members;
    }
    default:
      return {};
  }
}

}  // namespace

void ReplaceLeafWriters(duckdb::unique_ptr<duckdb::ColumnWriter>& writer, const DataType& type,
                        bool top) {
  if (IsFine(type)) {
    writer = duckdb::make_uniq<Int96Writer>(*writer);
  } else if (type.root == TypeRoot::kTime && !top) {
    writer = duckdb::make_uniq<TimeMillisWriter>(*writer);
  } else if (type.root == TypeRoot::kFloat) {
    writer = duckdb::make_uniq<FloatWriter<float>>(*writer);
  } else if (type.root == TypeRoot::kDouble) {
    writer = duckdb::make_uniq<FloatWriter<double>>(*writer);
  }
  for (auto& [child, child_type] : Inside(*writer, type)) {
    ReplaceLeafWriters(*child, child_type, false);
  }
}

void ForEachLeaf(const duckdb::ColumnWriter& writer, const DataType& type,
                 const std::function<void(const duckdb::ColumnWriter&, const DataType&)>& visit) {
  auto inside = Inside(writer, type);
  if (inside.empty() && type.root != TypeRoot::kRow) return visit(writer, type);
  for (auto& [child, child_type] : inside) ForEachLeaf(**child, child_type, visit);
}

}  // namespace millrace
