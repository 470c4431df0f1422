// json.h - JSON lines: one object a line, its members the columns of a row.
//
// simdjson's on-demand parser walks each line once; members are found by guessing the order of the
// last record. The pieces that Debezium's envelope needs too are JsonRowReader and JsonRowWriter.
#pragma once

#include <simdjson.h>

#include "duckdb/common/types/vector.hpp"
#include "format/codec/cell_text.h"
#include "format/codec/codec.h"
#include "format/codec/value_text.h"

namespace millrace {

std::vector<FormatOption> JsonOptions(const std::string& prefix);
std::unique_ptr<Decoder> MakeJsonDecoder(RecordFormat record, const Options& options);
std::unique_ptr<Encoder> MakeJsonEncoder(std::vector<DataField> fields, const Options& options);

/// True when option `name` is 'true'.
bool ReadFlag(const Options& options, const std::string& name);

struct JsonRules {
  bool ignore_errors = false;
  bool fail_on_missing = false;
  bool epoch_numbers = false;  // Debezium: integers stand for dates and times.
  TextForm form = kJsonMember;
};
/// Reads the options that start with `prefix` ("json.").
JsonRules ReadJsonRules(const Options& options, const std::string& prefix);

/// What was wrong with a record: the field and the text found there, or a parser's complaint.
struct RecordFailure {
  std::string field;    // Empty: the record as a whole.
  std::string problem;  // "'12x' is not an INT".
};

/// How the numbers of one column are encoded, where a message's schema says so.
struct NumberEncoding {
  EpochUnit unit = EpochUnit::kNone;
  bool decimal_bytes = false;  // Base64 of the big-endian unscaled value.
  int decimal_scale = 0;
};

/// Writes the members of a JSON object into one row of a chunk.
/// Threads: one at a time. Throws: nothing for bad data, which Failure() describes.
class JsonRowReader {
 public:
  JsonRowReader(RecordFormat record, JsonRules rules);
  /// Fills row `row`; false when the object does not fit.
  [[nodiscard]] bool Read(simdjson::ondemand::object object, DataChunk& rows, idx_t row);
  const RecordFailure& Failure() const { return failure_; }
  /// Encodings by chunk column, from a schema envelope.
  std::vector<NumberEncoding>& encodings() { return encodings_; }
  const RecordFormat& record() const { return record_; }
  const JsonRules& rules() const { return rules_; }

 private:
  /// The chunk column that `key` names; -1 for members that are not wanted.
  int FindColumn(std::string_view key);
  bool ReadValue(simdjson::ondemand::value value, const DataType& type, Vector& vector, idx_t row,
                 const NumberEncoding& encoding);
  bool ReadNumber(simdjson::ondemand::value& value, const DataType& type, Vector& vector, idx_t row,
                  const NumberEncoding& encoding);
  bool ReadString(simdjson::ondemand::value& value, const DataType& type, Vector& vector, idx_t row,
                  const NumberEncoding& encoding);
  bool ReadList(simdjson::ondemand::value& value, const DataType& type, Vector& vector, idx_t row);
  bool ReadMap(simdjson::ondemand::value& value, const DataType& type, Vector& vector, idx_t row);
  bool ReadStruct(simdjson::ondemand::value& value, const DataType& type, Vector& vector,
                  idx_t row);
  bool Unfit(std::string_view text, const DataType& type);
  bool Broken(simdjson::error_code error);

  RecordFormat record_;
  JsonRules rules_;
  std::vector<DataType> types_;            // By chunk column.
  std::vector<NumberEncoding> encodings_;  // By chunk column.
  std::map<std::string, int, std::less<>> columns_;
  std::vector<std::pair<std::string, int>> order_;  // The members of the last record, in order.
  size_t next_ = 0;                                 // Guess into order_.
  std::vector<uint8_t> seen_;
  RecordFailure failure_;
};

/// Writes rows as JSON objects.
/// Threads: one at a time.
class JsonRowWriter {
 public:
  JsonRowWriter(std::vector<DataField> fields, const TextForm& form);
  /// Makes the columns of `rows` readable; call before Append, once a chunk.
  void Open(DataChunk& rows);
  void Append(idx_t row, std::string& out) const;

 private:
  std::vector<DataField> fields_;
  std::vector<std::string> keys_;  // "\"name\":", escaped.
  TextForm form_;
  std::vector<ReadableColumn> columns_;
};

/// Calls `decode(line)` for every whole line of `bytes` while `more()`; returns the bytes consumed.
template <typename More, typename DecodeLine>
idx_t ForEachLine(std::string_view bytes, bool complete, More&& more, DecodeLine&& decode) {
  idx_t position = 0;
  while (position < bytes.size() && more()) {
    size_t end = bytes.find('\n', position);
    if (end == std::string_view::npos && !complete) break;
    size_t next = end == std::string_view::npos ? bytes.size() : end + 1;
    size_t last = end == std::string_view::npos ? bytes.size() : end;
    if (last > position && bytes[last - 1] == '\r') last--;
    decode(bytes.substr(position, last - position));
    position = next;
  }
  return position;
}

/// What is wrong with a document, without a full stop.
std::string JsonProblem(simdjson::error_code error);
/// "'12x' is not an INT".
std::string NotA(std::string_view text, const DataType& type);

/// "Cannot decode line 17 of /data/a.json as JSON: ..." with the record's text.
[[noreturn]] void ThrowBadRecord(const char* format, const std::string& origin, int64_t record,
                                 const RecordFailure& failure, std::string_view text,
                                 const std::string& ignore_option);

}  // namespace millrace
