#include "format/codec/codec.h"

#include "base/error.h"
#include "format/codec/csv.h"
#include "format/codec/debezium.h"
#include "format/codec/json.h"

namespace millrace {

namespace {

[[noreturn]] void UnknownFormat(const std::string& format) {
  Throw(ErrorCode::kInvalid, "There is no format '{}'{}", format, DidYouMean(format, CodecNames()));
}

void CheckChoice(const Options& options, const std::string& name,
                 const std::vector<std::string>& choices) {
  auto found = options.find(name);
  if (found == options.end()) return;
  for (const std::string& choice : choices) {
    if (found->second == choice) return;
  }
  std::string listed;
  for (const std::string& choice : choices) listed += (listed.empty() ? "'" : ", '") + choice + "'";
  Throw(ErrorCode::kInvalid, "Option '{}' is '{}'; it can be one of {}", name, found->second,
        listed);
}

void ValidateJsonOptions(const std::string& prefix, const Options& options) {
  const std::vector<std::string> boolean = {"true", "false"};
  for (const char* name : {"ignore-parse-errors", "fail-on-missing-field", "schema-include",
                           "encode.decimal-as-plain-number"}) {
    CheckChoice(options, prefix + name, boolean);
  }
  CheckChoice(options, prefix + "timestamp-format.standard", {"SQL", "ISO-8601"});
  CheckChoice(options, prefix + "map-null-key.mode", {"FAIL", "DROP", "LITERAL"});
  if (ReadFlag(options, prefix + "ignore-parse-errors") &&
      ReadFlag(options, prefix + "fail-on-missing-field")) {
    Throw(ErrorCode::kInvalid,
          "Options '{}fail-on-missing-field' and '{}ignore-parse-errors' cannot both be 'true'",
          prefix, prefix);
  }
}

}  // namespace

duckdb::vector<LogicalType> RecordFormat::WantedTypes() const {
  duckdb::vector<LogicalType> types;
  for (idx_t index : wanted) types.push_back(fields[index].type.ToDuck());
  return types;
}

void CheckColumnTypes(const DataChunk& rows, const std::vector<DataField>& fields) {
  MILLRACE_CHECK(rows.ColumnCount() == fields.size());
  for (idx_t i = 0; i < fields.size(); i++) {
    const LogicalType& found = rows.data[i].GetType();
    LogicalType expected = fields[i].type.ToDuck();
    bool fits =
        found.id() == expected.id() && (found.id() != LogicalTypeId::DECIMAL || found == expected);
    if (fits) continue;
    Throw(ErrorCode::kInvalid, "Writing column '{}', which is {}: the rows bring {}; cast it",
          fields[i].name, fields[i].type.ToString(), found.ToString());
  }
}

const std::vector<std::string>& CodecNames() {
  static const std::vector<std::string> kNames = {"csv", "debezium-json", "json"};
  return kNames;
}

bool IsCodec(const std::string& format) {
  for (const std::string& name : CodecNames()) {
    if (name == format) return true;
  }
  return false;
}

std::vector<FormatOption> CodecOptions(const std::string& format) {
  if (format == "json") return JsonOptions("json.");
  if (format == "csv") return CsvOptions();
  if (format == "debezium-json") return DebeziumOptions();
  UnknownFormat(format);
}

void ValidateCodec(const std::string& format, const std::vector<DataField>& fields,
                   const Options& options) {
  if (format == "json" || format == "debezium-json") {
    ValidateJsonOptions(format + ".", options);
  } else if (format == "csv") {
    ReadCsvRules(options);
    for (const DataField& field : fields) CheckCsvType(field);
  } else {
    UnknownFormat(format);
  }
}

std::unique_ptr<Decoder> MakeDecoder(const std::string& format, RecordFormat record,
                                     const Options& options) {
  if (format == "json") return MakeJsonDecoder(std::move(record), options);
  if (format == "csv") return MakeCsvDecoder(std::move(record), options);
  if (format == "debezium-json") return MakeDebeziumDecoder(std::move(record), options);
  UnknownFormat(format);
}

std::unique_ptr<Encoder> MakeEncoder(const std::string& format, std::vector<DataField> fields,
                                     const Options& options) {
  if (format == "json") return MakeJsonEncoder(std::move(fields), options);
  if (format == "csv") return MakeCsvEncoder(std::move(fields), options);
  if (format == "debezium-json") return MakeDebeziumEncoder(std::move(fields), options);
  UnknownFormat(format);
}

}  // namespace millrace
