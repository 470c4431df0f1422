// cell_text.h - one cell of a vector from text, by the column's type; the way back: value_text.h.
//
// What the codecs share below the record: a switch on the type, straight into the vector's memory.
#pragma once

#include "format/codec/text_values.h"
#include "meta/data_type.h"

namespace millrace {

/// How integers stand for dates and times (Debezium's io.debezium.time.*).
enum class EpochUnit : uint8_t { kNone, kDays, kMillis, kMicros, kNanos };

/// Writes `text` into `vector[row]`, for types without members. False when it is not a value of the
/// type; the cell is then undefined. REQUIRES: a flat vector of `type`.ToDuck().
[[nodiscard]] bool SetCellFromText(const DataType& type, Vector& vector, idx_t row,
                                   std::string_view text);
/// An integer, for numbers, strings, and (`unit` not kNone) dates and times.
[[nodiscard]] bool SetCellFromInteger(const DataType& type, Vector& vector, idx_t row,
                                      int64_t value, EpochUnit unit);
/// The unscaled value of a decimal. False when it is out of the type's range.
[[nodiscard]] bool SetCellFromUnscaled(const DataType& type, Vector& vector, idx_t row,
                                       Int128 value);
/// A string known to be valid UTF-8. False for types other than CHAR and VARCHAR.
void SetCellFromString(Vector& vector, idx_t row, std::string_view text);

/// The unit that Debezium uses for a column declared as `type`: by its precision.
EpochUnit DefaultEpochUnit(const DataType& type);

/// True for types whose text never needs quotes in JSON (numbers, booleans).
bool IsPlainInJson(const DataType& type);

}  // namespace millrace
