// binary_row.cc - rows of values to bytes and back, and buckets.
#include "meta/binary_row.h"

#include <cstdlib>

#include "base/bytes.h"
#include "base/error.h"
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/decimal.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "meta/row_codec.h"

namespace millrace {

namespace {

constexpr idx_t kArityBytes = 4;

duckdb::hugeint_t UnscaledOf(const Value& value) {
  switch (value.type().InternalType()) {
    case duckdb::PhysicalType::INT16:
      return value.GetValueUnsafe<int16_t>();
    case duckdb::PhysicalType::INT32:
      return value.GetValueUnsafe<int32_t>();
    case duckdb::PhysicalType::INT64:
      return value.GetValueUnsafe<int64_t>();
    default:
      return value.GetValueUnsafe<duckdb::hugeint_t>();
  }
}

MillisNanos TimeOf(const DataType& type, const Value& value) {
  int64_t number = value.GetValueUnsafe<int64_t>();
  if (number == INT64_MAX || number == -INT64_MAX) {
    Throw(ErrorCode::kData, "Writing {} to a table: infinity cannot be kept", type.ToString());
  }
  return type.length > 6 ? SplitNanos(number) : SplitMicros(number);
}

void PutValue(RowWriter& writer, idx_t field, const DataType& type, const Value& given) {
  SlotKind kind = SlotKindOf(type);
  if (given.IsNull()) return writer.PutNull(field, kind);
  if (kind == SlotKind::kNested) {
    Throw(ErrorCode::kUnsupported, "Type {} cannot be part of a key or a partition",
          type.ToString());
  }
  LogicalType duck = type.ToDuck();
  Value value = given.type() == duck ? given : given.DefaultCastAs(duck);
  switch (kind) {
    case SlotKind::kByte:
      writer.Put(field, value.GetValueUnsafe<int8_t>());
      break;
    case SlotKind::kShort:
      writer.Put(field, value.GetValueUnsafe<int16_t>());
      break;
    case SlotKind::kInt:
      if (type.root == TypeRoot::kFloat) {
        writer.Put(field, value.GetValueUnsafe<float>());
      } else {
        writer.Put(field, value.GetValueUnsafe<int32_t>());
      }
      break;
    case SlotKind::kTimeMillis:
      writer.Put(field, static_cast<int32_t>(value.GetValueUnsafe<int64_t>() / 1000));
      break;
    case SlotKind::kLong:
      if (type.root == TypeRoot::kDouble) {
        writer.Put(field, value.GetValueUnsafe<double>());
      } else {
        writer.Put(field, value.GetValueUnsafe<int64_t>());
      }
      break;
    case SlotKind::kDecimal:
      writer.Put(field, static_cast<int64_t>(UnscaledOf(value).lower));
      break;
    case SlotKind::kBigDecimal:
      writer.PutBigDecimal(field, UnscaledOf(value));
      break;
    case SlotKind::kMillis:
    case SlotKind::kMillisOutside:
      writer.PutTimestamp(field, TimeOf(type, value), kind);
      break;
    case SlotKind::kBytes: {
      const std::string& bytes = duckdb::StringValue::Get(value);
      writer.PutBytes(field, bytes.data(), bytes.size());
      break;
    }
    case SlotKind::kNested:
      break;
  }
}

[[noreturn]] void Fail(const std::vector<DataType>& types, std::string_view bytes,
                       const std::string& found) {
  std::string names;
  for (const DataType& type : types) names += (names.empty() ? "" : ", ") + type.ToString();
  Throw(ErrorCode::kCorrupt, "Decoding a row ({}) of {} bytes: {}", names, bytes.size(), found);
}

/// Takes the fields of one row apart; every offset is checked.
class RowReader {
 public:
  RowReader(const std::vector<DataType>& types, std::string_view bytes)
      : types_(types), all_(bytes) {
    if (bytes.size() < kArityBytes) Fail("the number of fields is cut");
    auto arity = LoadBig<uint32_t>(bytes.data());
    if (arity != types.size()) Fail(fmt::format("it has {} fields", arity));
    row_ = bytes.substr(kArityBytes);
    header_ = HeaderBytes(types.size());
    if (row_.size() < header_ + types.size() * 8) Fail("its fields are cut");
  }

  Value Read(idx_t field) {
    const DataType& type = types_[field];
    bool is_null = (row_[(8 + field) / 8] >> ((8 + field) % 8) & 1) != 0;
    SlotKind kind = SlotKindOf(type);
    if (is_null) return Value(type.ToDuck());
    const char* slot = row_.data() + header_ + field * 8;
    switch (kind) {
      case SlotKind::kByte:
        if (type.root == TypeRoot::kTinyInt) return Value::TINYINT(LoadLittle<int8_t>(slot));
        return Value::BOOLEAN(LoadLittle<int8_t>(slot) != 0);
      case SlotKind::kShort:
        return Value::SMALLINT(LoadLittle<int16_t>(slot));
      case SlotKind::kInt:
        if (type.root == TypeRoot::kFloat) return Value::FLOAT(LoadLittle<float>(slot));
        if (type.root == TypeRoot::kDate)
          return Value::DATE(duckdb::date_t(LoadLittle<int32_t>(slot)));
        return Value::INTEGER(LoadLittle<int32_t>(slot));
      case SlotKind::kTimeMillis:
        return Value::TIME(duckdb::dtime_t(LoadLittle<int32_t>(slot) * int64_t{1000}));
      case SlotKind::kLong:
        return type.root == TypeRoot::kDouble ? Value::DOUBLE(LoadLittle<double>(slot))
                                              : Value::BIGINT(LoadLittle<int64_t>(slot));
      case SlotKind::kDecimal:
        return Decimal(type, duckdb::hugeint_t(LoadLittle<int64_t>(slot)));
      case SlotKind::kBigDecimal:
        return Decimal(type, BigDecimal(Outside(slot, LoadLittle<uint32_t>(slot))));
      case SlotKind::kMillis:
        return Timestamp(type, LoadLittle<int64_t>(slot), 0);
      case SlotKind::kMillisOutside: {
        auto nanos = LoadLittle<uint32_t>(slot);
        if (nanos >= 1'000'000) Fail("a millisecond has too many nanoseconds");
        return Timestamp(type, LoadLittle<int64_t>(Outside(slot, 8).data()), nanos);
      }
      case SlotKind::kBytes:
        return Bytes(type, slot);
      case SlotKind::kNested:
        Throw(ErrorCode::kUnsupported, "Type {} cannot be part of a key or a partition",
              type.ToString());
    }
    return Value();
  }

 private:
  /// The `length` bytes that the offset in `slot` leads to.
  std::string_view Outside(const char* slot, uint32_t length) {
    auto offset = LoadLittle<uint32_t>(slot + 4);
    if (offset > row_.size() || length > row_.size() - offset)
      Fail("a value lies outside of the row");
    return row_.substr(offset, length);
  }

  Value Bytes(const DataType& type, const char* slot) {
    std::string_view bytes;
    if ((slot[7] & 0x80) != 0) {
      int length = slot[7] & 0x7f;
      if (length > 7) Fail("a short value is too long");
      bytes = std::string_view(slot, static_cast<size_t>(length));
    } else {
      bytes = Outside(slot, LoadLittle<uint32_t>(slot));
    }
    bool is_text = type.root == TypeRoot::kChar || type.root == TypeRoot::kVarChar;
    if (!is_text)
      return Value::BLOB(reinterpret_cast<duckdb::const_data_ptr_t>(bytes.data()), bytes.size());
    if (!Value::StringIsValid(bytes.data(), bytes.size())) Fail("a string is not valid UTF-8");
    return Value(std::string(bytes));
  }

  duckdb::hugeint_t BigDecimal(std::string_view big_endian) {
    if (big_endian.empty() || big_endian.size() > 16) Fail("a decimal has a wrong length");
    duckdb::hugeint_t unscaled(0);
    unscaled.upper = (big_endian[0] & 0x80) != 0 ? -1 : 0;
    unscaled.lower = (big_endian[0] & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (char byte : big_endian) {
      unscaled.upper = static_cast<int64_t>((static_cast<uint64_t>(unscaled.upper) << 8) |
                                            (unscaled.lower >> 56));
      unscaled.lower = (unscaled.lower << 8) | static_cast<unsigned char>(byte);
    }
    return unscaled;
  }

  Value Decimal(const DataType& type, duckdb::hugeint_t unscaled) {
    duckdb::hugeint_t limit = duckdb::Hugeint::POWERS_OF_TEN[type.length];
    if (unscaled >= limit || unscaled <= -limit) Fail("a decimal is out of range");
    auto width = static_cast<uint8_t>(type.length);
    auto scale = static_cast<uint8_t>(type.scale);
    if (width > duckdb::Decimal::MAX_WIDTH_INT64) return Value::DECIMAL(unscaled, width, scale);
    return Value::DECIMAL(static_cast<int64_t>(unscaled.lower), width, scale);
  }

  Value Timestamp(const DataType& type, int64_t millis, uint32_t nanos) {
    int64_t units = type.length > 6 ? 1'000'000 : 1000;
    int64_t rest = type.length > 6 ? nanos : nanos / 1000;
    int64_t number = 0;
    bool overflow = __builtin_mul_overflow(millis, units, &number) ||
                    __builtin_add_overflow(number, rest, &number);
    if (overflow) Fail(fmt::format("the time {} ms is out of range", millis));
    bool zoned = type.root == TypeRoot::kTimestampLtz;
    if (type.length <= 6) {
      return zoned ? Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(number))
                   : Value::TIMESTAMP(duckdb::timestamp_t(number));
    }
    Value value = Value::TIMESTAMPNS(duckdb::timestamp_ns_t(number));
    if (zoned) value.Reinterpret(type.ToDuck());
    return value;
  }

  [[noreturn]] void Fail(const std::string& found) const { millrace::Fail(types_, all_, found); }

  const std::vector<DataType>& types_;
  std::string_view all_;
  std::string_view row_;
  idx_t header_ = 0;
};

}  // namespace

RowBytes EncodeRow(const std::vector<DataType>& types, const std::vector<Value>& values) {
  MILLRACE_CHECK(types.size() == values.size());
  RowWriter writer(types.size());
  writer.Reset();
  for (idx_t i = 0; i < types.size(); i++) PutValue(writer, i, types[i], values[i]);
  RowBytes bytes;
  AppendBig<uint32_t>(bytes, static_cast<uint32_t>(types.size()));
  return bytes + writer.row();
}

std::vector<Value> DecodeRow(const std::vector<DataType>& types, std::string_view bytes) {
  RowReader reader(types, bytes);
  std::vector<Value> values;
  for (idx_t i = 0; i < types.size(); i++) values.push_back(reader.Read(i));
  return values;
}

const RowBytes& EmptyRow() {
  static const RowBytes row(12, '\0');
  return row;
}

int BucketOf(int32_t hash, int buckets) {
  return std::abs(static_cast<int>(hash % buckets));
}

}  // namespace millrace
