#include "base/error.h"
#include "format/codec/json.h"

namespace millrace {

namespace {

using duckdb::FlatVector;
using duckdb::ListVector;
using simdjson::ondemand::json_type;

std::string_view TrimToken(std::string_view token) {
  while (!token.empty() && static_cast<uint8_t>(token.back()) <= ' ') token.remove_suffix(1);
  return token;
}

bool IsText(const DataType& type) {
  return type.root == TypeRoot::kVarChar || type.root == TypeRoot::kChar;
}

/// A big-endian two's complement number of at most 16 bytes.
bool UnscaledFromBytes(std::string_view bytes, Int128& value) {
  if (bytes.empty() || bytes.size() > 16) return false;
  value = static_cast<int8_t>(bytes[0]);
  for (size_t i = 1; i < bytes.size(); i++) value = value * 256 + static_cast<uint8_t>(bytes[i]);
  return true;
}

class JsonDecoder : public Decoder {
 public:
  JsonDecoder(RecordFormat record, const Options& options)
      : reader_(std::move(record), ReadJsonRules(options, "json.")) {}

  idx_t Decode(std::string_view bytes, bool complete, ChangeChunk& chunk) override {
    idx_t count = chunk.size();
    idx_t consumed = ForEachLine(
        bytes, complete, [&] { return count < limit_; },
        [&](std::string_view line) {
          if (!TrimToken(line).empty()) {
            if (DecodeLine(line, chunk.rows, count)) {
              count++;
            } else if (reader_.rules().ignore_errors) {
              skipped_++;
            } else {
              ThrowBadRecord("JSON", origin_, record_, failure_, line, "json.ignore-parse-errors");
            }
          }
          record_++;
        });
    if (!chunk.kinds.empty()) chunk.kinds.resize(count, RowKind::kInsert);
    chunk.rows.SetCardinality(count);
    return consumed;
  }

 private:
  bool DecodeLine(std::string_view line, DataChunk& rows, idx_t row) {
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    auto error = parser_.iterate(line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING)
                     .get(document);
    if (!error) error = document.get_object().get(object);
    if (error) {
      failure_ = {"",
                  error == simdjson::INCORRECT_TYPE ? "it is no JSON object" : JsonProblem(error)};
      return false;
    }
    if (!reader_.Read(object, rows, row)) {
      failure_ = reader_.Failure();
      return false;
    }
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
      failure_ = {"", "there is more text behind the object"};
      return false;
    }
    return true;
  }

  JsonRowReader reader_;
  simdjson::ondemand::parser parser_;
  RecordFailure failure_;
};

}  // namespace

bool ReadFlag(const Options& options, const std::string& name) {
  auto found = options.find(name);
  return found != options.end() && found->second == "true";
}

JsonRules ReadJsonRules(const Options& options, const std::string& prefix) {
  JsonRules rules;
  rules.ignore_errors = ReadFlag(options, prefix + "ignore-parse-errors");
  rules.fail_on_missing = ReadFlag(options, prefix + "fail-on-missing-field");
  auto standard = options.find(prefix + "timestamp-format.standard");
  if (standard != options.end() && standard->second == "ISO-8601") {
    rules.form.separator = 'T';
  }
  return rules;
}

std::vector<FormatOption> JsonOptions(const std::string& prefix) {
  return {
      {prefix + "ignore-parse-errors", "'true': skip and count records that do not parse"},
      {prefix + "fail-on-missing-field", "'true': a missing member is an error instead of NULL"},
      {prefix + "timestamp-format.standard",
       "'SQL' (default) or 'ISO-8601': how timestamps are written"},
      {prefix + "map-null-key.mode", "accepted; keys of maps are never NULL here"},
      {prefix + "encode.decimal-as-plain-number", "accepted; decimals are always written plainly"},
  };
}

std::unique_ptr<Decoder> MakeJsonDecoder(RecordFormat record, const Options& options) {
  return std::make_unique<JsonDecoder>(std::move(record), options);
}

void ThrowBadRecord(const char* format, const std::string& origin, int64_t record,
                    const RecordFailure& failure, std::string_view text,
                    const std::string& ignore_option) {
  std::string field = failure.field.empty() ? "" : fmt::format("field '{}': ", failure.field);
  Throw(ErrorCode::kData,
        "Cannot decode line {} of {} as {}: {}{}. The record: {}. Correct it, or set '{}' = 'true' "
        "to skip such records",
        record + 1, origin, format, field, failure.problem, Shortened(text), ignore_option);
}

std::string JsonProblem(simdjson::error_code error) {
  std::string text = simdjson::error_message(error);
  while (text.ends_with('.')) text.pop_back();
  return text;
}

std::string NotA(std::string_view text, const DataType& type) {
  bool vowel = type.root == TypeRoot::kInt || type.root == TypeRoot::kArray;
  return fmt::format("'{}' is not {} {}", Shortened(text, 60), vowel ? "an" : "a",
                     type.Nullable().ToString());
}

JsonRowReader::JsonRowReader(RecordFormat record, JsonRules rules)
    : record_(std::move(record)), rules_(rules) {
  for (idx_t i = 0; i < record_.wanted.size(); i++) {
    const DataField& field = record_.fields[record_.wanted[i]];
    columns_.emplace(field.name, static_cast<int>(i));
    types_.push_back(field.type);
    NumberEncoding encoding;
    if (rules.epoch_numbers) encoding.unit = DefaultEpochUnit(field.type);
    encodings_.push_back(encoding);
  }
  seen_.resize(types_.size());
}

int JsonRowReader::FindColumn(std::string_view key) {
  size_t guess = next_++;
  if (guess < order_.size() && order_[guess].first == key) return order_[guess].second;
  auto found = columns_.find(key);
  int column = found == columns_.end() ? -1 : found->second;
  if (guess < order_.size()) {
    order_[guess] = {std::string(key), column};
  } else if (guess < 4096) {
    order_.emplace_back(key, column);
  }
  return column;
}

bool JsonRowReader::Read(simdjson::ondemand::object object, DataChunk& rows, idx_t row) {
  std::fill(seen_.begin(), seen_.end(), 0);
  next_ = 0;
  for (auto member : object) {
    std::string_view key;
    if (auto error = member.unescaped_key().get(key)) return Broken(error);
    int column = FindColumn(key);
    if (column < 0) continue;
    simdjson::ondemand::value value;
    if (auto error = member.value().get(value)) return Broken(error);
    if (!ReadValue(value, types_[column], rows.data[column], row, encodings_[column])) {
      const std::string& name = record_.fields[record_.wanted[column]].name;
      failure_.field = failure_.field.empty() ? name : name + "." + failure_.field;
      return false;
    }
    seen_[column] = 1;
  }
  for (size_t column = 0; column < seen_.size(); column++) {
    if (seen_[column]) continue;
    if (rules_.fail_on_missing) {
      failure_ = {record_.fields[record_.wanted[column]].name, "the record has no such member"};
      return false;
    }
    FlatVector::SetNull(rows.data[column], row, true);
  }
  return true;
}

bool JsonRowReader::Unfit(std::string_view text, const DataType& type) {
  failure_ = {"", NotA(text, type)};
  return false;
}

bool JsonRowReader::Broken(simdjson::error_code error) {
  failure_ = {"", JsonProblem(error)};
  return false;
}

bool JsonRowReader::ReadValue(simdjson::ondemand::value value, const DataType& type, Vector& vector,
                              idx_t row, const NumberEncoding& encoding) {
  json_type kind;
  if (auto error = value.type().get(kind)) return Broken(error);
  if (kind == json_type::null) {
    bool is_null;
    if (auto error = value.is_null().get(is_null)) return Broken(error);
    if (!is_null) return Unfit(TrimToken(value.raw_json_token()), type);
    FlatVector::SetNull(vector, row, true);
    return true;
  }
  FlatVector::Validity(vector).SetValid(row);
  switch (kind) {
    case json_type::number:
      return ReadNumber(value, type, vector, row, encoding);
    case json_type::string:
      return ReadString(value, type, vector, row, encoding);
    case json_type::boolean: {
      bool flag;
      if (auto error = value.get_bool().get(flag)) return Broken(error);
      if (type.root == TypeRoot::kBoolean) {
        FlatVector::GetDataUnsafe<bool>(vector)[row] = flag;
        return true;
      }
      if (!IsText(type)) return Unfit(flag ? "true" : "false", type);
      SetCellFromString(vector, row, flag ? "true" : "false");
      return true;
    }
    case json_type::array:
      if (type.root == TypeRoot::kArray) return ReadList(value, type, vector, row);
      break;
    case json_type::object:
      if (type.root == TypeRoot::kRow) return ReadStruct(value, type, vector, row);
      if (type.root == TypeRoot::kMap || type.root == TypeRoot::kMultiset) {
        return ReadMap(value, type, vector, row);
      }
      break;
    default:
      break;
  }
  // A nested value as text, as it stands there; for any other type it is an error that shows it.
  std::string_view raw;
  simdjson::error_code error;
  if (kind == json_type::array) {
    simdjson::ondemand::array array;
    error = value.get_array().get(array);
    if (!error) error = array.raw_json().get(raw);
  } else {
    simdjson::ondemand::object object;
    error = value.get_object().get(object);
    if (!error) error = object.raw_json().get(raw);
  }
  if (error) return Broken(error);
  if (!IsText(type)) return Unfit(raw, type);
  SetCellFromString(vector, row, raw);
  return true;
}

bool JsonRowReader::ReadNumber(simdjson::ondemand::value& value, const DataType& type,
                               Vector& vector, idx_t row, const NumberEncoding& encoding) {
  std::string_view token = TrimToken(value.raw_json_token());
  switch (type.root) {
    case TypeRoot::kDecimal:
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:  // The digits as they stand there.
      if (!SetCellFromText(type, vector, row, token)) return Unfit(token, type);
      break;
    case TypeRoot::kDouble: {
      double number;
      if (value.get_double().get(number)) return Unfit(token, type);
      FlatVector::GetDataUnsafe<double>(vector)[row] = number;
      return true;
    }
    default: {
      int64_t integer;
      if (!value.get_int64().get(integer)) {
        if (!SetCellFromInteger(type, vector, row, integer, encoding.unit))
          return Unfit(token, type);
        return true;
      }
      bool numeric = IsPlainInJson(type) && type.root != TypeRoot::kBoolean;
      if (!numeric || !SetCellFromText(type, vector, row, token)) return Unfit(token, type);
    }
  }
  // The token was taken as text: let the parser step over it, which checks its form.
  double ignored;
  if (value.get_double().get(ignored)) return Unfit(token, type);
  return true;
}

bool JsonRowReader::ReadString(simdjson::ondemand::value& value, const DataType& type,
                               Vector& vector, idx_t row, const NumberEncoding& encoding) {
  std::string_view text;
  if (auto error = value.get_string().get(text)) return Broken(error);
  if (IsText(type)) {
    SetCellFromString(vector, row, text);
    return true;
  }
  if (encoding.decimal_bytes && type.root == TypeRoot::kDecimal) {
    std::string bytes;
    Int128 unscaled;
    if (!ParseBase64(text, bytes) || !UnscaledFromBytes(bytes, unscaled)) return Unfit(text, type);
    std::string digits;
    AppendDecimal(unscaled, encoding.decimal_scale, digits);
    return SetCellFromText(type, vector, row, digits) || Unfit(digits, type);
  }
  return SetCellFromText(type, vector, row, text) || Unfit(text, type);
}

bool JsonRowReader::ReadList(simdjson::ondemand::value& value, const DataType& type, Vector& vector,
                             idx_t row) {
  simdjson::ondemand::array array;
  if (auto error = value.get_array().get(array)) return Broken(error);
  NumberEncoding encoding;
  if (rules_.epoch_numbers) encoding.unit = DefaultEpochUnit(type.children[0]);
  idx_t offset = ListVector::GetListSize(vector), count = 0;
  for (auto element : array) {
    simdjson::ondemand::value member;
    if (auto error = element.get(member)) return Broken(error);
    ListVector::Reserve(vector, offset + count + 1);
    if (!ReadValue(member, type.children[0], ListVector::GetEntry(vector), offset + count,
                   encoding)) {
      return false;
    }
    count++;
  }
  ListVector::SetListSize(vector, offset + count);
  ListVector::GetData(vector)[row] = {offset, count};
  return true;
}

bool JsonRowReader::ReadMap(simdjson::ondemand::value& value, const DataType& type, Vector& vector,
                            idx_t row) {
  static const DataType kCount;  // INT.
  const DataType& value_type = type.root == TypeRoot::kMap ? type.children[1] : kCount;
  simdjson::ondemand::object object;
  if (auto error = value.get_object().get(object)) return Broken(error);
  NumberEncoding encoding;
  if (rules_.epoch_numbers) encoding.unit = DefaultEpochUnit(value_type);
  idx_t offset = ListVector::GetListSize(vector), count = 0;
  for (auto member : object) {
    std::string_view key;
    simdjson::ondemand::value item;
    if (auto error = member.unescaped_key().get(key)) return Broken(error);
    if (auto error = member.value().get(item)) return Broken(error);
    ListVector::Reserve(vector, offset + count + 1);
    auto& entries = duckdb::StructVector::GetEntries(ListVector::GetEntry(vector));
    FlatVector::Validity(ListVector::GetEntry(vector)).SetValid(offset + count);
    FlatVector::Validity(*entries[0]).SetValid(offset + count);
    if (!SetCellFromText(type.children[0], *entries[0], offset + count, key)) {
      return Unfit(key, type.children[0]);
    }
    if (!ReadValue(item, value_type, *entries[1], offset + count, encoding)) return false;
    count++;
  }
  ListVector::SetListSize(vector, offset + count);
  ListVector::GetData(vector)[row] = {offset, count};
  return true;
}

bool JsonRowReader::ReadStruct(simdjson::ondemand::value& value, const DataType& type,
                               Vector& vector, idx_t row) {
  simdjson::ondemand::object object;
  if (auto error = value.get_object().get(object)) return Broken(error);
  auto& entries = duckdb::StructVector::GetEntries(vector);
  for (auto& entry : entries) FlatVector::SetNull(*entry, row, true);
  for (auto member : object) {
    std::string_view key;
    if (auto error = member.unescaped_key().get(key)) return Broken(error);
    for (size_t i = 0; i < type.fields.size(); i++) {
      if (type.fields[i].name != key) continue;
      simdjson::ondemand::value item;
      if (auto error = member.value().get(item)) return Broken(error);
      NumberEncoding encoding;
      if (rules_.epoch_numbers) encoding.unit = DefaultEpochUnit(type.fields[i].type);
      if (!ReadValue(item, type.fields[i].type, *entries[i], row, encoding)) {
        const std::string& name = type.fields[i].name;
        failure_.field = failure_.field.empty() ? name : name + "." + failure_.field;
        return false;
      }
      break;
    }
  }
  return true;
}

}  // namespace millrace
