#include "base/error.h"
#include "format/codec/csv.h"
#include "format/codec/json.h"

namespace millrace {

namespace {

using duckdb::FlatVector;
using duckdb::ListVector;

char OneCharacter(const Options& options, const std::string& name, char standard) {
  auto found = options.find(name);
  if (found == options.end()) return standard;
  const std::string& text = found->second;
  if (text == "\\t") return '\t';
  if (text.size() != 1 || text == "\n" || text == "\r") {
    Throw(ErrorCode::kInvalid,
          "Option '{}' is '{}'; it must be one character (ASCII), such as ';' or '\\t'", name,
          text);
  }
  return text[0];
}

/// One field as it lies in the record.
struct Field {
  std::string_view text;
  bool quoted = false;
};

/// Cuts records and fields out of bytes.
class CsvScanner {
 public:
  explicit CsvScanner(const CsvRules& rules) : rules_(rules) {
    special_[static_cast<uint8_t>(rules.delimiter)] = true;
    special_[static_cast<uint8_t>('\n')] = true;
    if (rules.escape) special_[static_cast<uint8_t>(rules.escape)] = true;
  }

  enum class Outcome { kRecord, kIncomplete, kMalformed };

  /// Reads the record at `position`, which moves behind its line end. kMalformed: moved behind the
  /// line.
  Outcome Next(std::string_view bytes, bool complete, idx_t& position) {
    fields.clear();
    unescaped_.clear();
    idx_t at = position;
    while (true) {
      Field field;
      if (rules_.quote && at < bytes.size() && bytes[at] == rules_.quote) {
        field.quoted = true;
        switch (Quoted(bytes, complete, at, field)) {
          case Outcome::kIncomplete:
            return Outcome::kIncomplete;
          case Outcome::kMalformed:
            return SkipLine(bytes, complete, at, position);
          case Outcome::kRecord:
            break;
        }
      } else if (!Plain(bytes, complete, at, field)) {
        return Outcome::kIncomplete;
      }
      fields.push_back(field);
      if (at >= bytes.size()) {  // Only when complete: the last line has no end.
        if (!fields.back().quoted && !fields.back().text.empty() &&
            fields.back().text.back() == '\r') {
          fields.back().text.remove_suffix(1);
        }
        position = at;
        return Outcome::kRecord;
      }
      if (bytes[at++] == '\n') break;
    }
    Field& last = fields.back();
    if (!last.quoted && !last.text.empty() && last.text.back() == '\r') last.text.remove_suffix(1);
    position = at;
    return Outcome::kRecord;
  }

  std::vector<Field> fields;
  std::string problem;

 private:
  /// False: more bytes are needed. Leaves `at` on the delimiter, the line end or the end of
  /// `bytes`.
  bool Plain(std::string_view bytes, bool complete, idx_t& at, Field& field) {
    idx_t start = at;
    bool escaped = false;
    while (at < bytes.size()) {
      char c = bytes[at];
      if (special_[static_cast<uint8_t>(c)]) {
        if (rules_.escape == '\0' || c != rules_.escape) break;
        escaped = true;
        at++;
      }
      at++;
    }
    if (at >= bytes.size() && !complete) return false;
    at = std::min<idx_t>(at, bytes.size());
    field.text = bytes.substr(start, at - start);
    if (escaped) field.text = Unescape(field.text, rules_.escape);
    return true;
  }

  Outcome Quoted(std::string_view bytes, bool complete, idx_t& at, Field& field) {
    idx_t start = ++at;
    bool doubled = false, escaped = false;
    for (; at < bytes.size(); at++) {
      char c = bytes[at];
      if (rules_.escape && c == rules_.escape && c != rules_.quote) {
        escaped = true;
        at++;
      } else if (c == rules_.quote) {
        if (at + 1 < bytes.size() && bytes[at + 1] == rules_.quote) {
          doubled = true;
          at++;
          continue;
        }
        if (at + 1 >= bytes.size() && !complete) return Outcome::kIncomplete;
        break;
      }
    }
    if (at >= bytes.size()) {
      problem = "a quoted field has no end";
      at = start;
      return complete ? Outcome::kMalformed : Outcome::kIncomplete;
    }
    field.text = bytes.substr(start, at - start);
    if (escaped) field.text = Unescape(field.text, rules_.escape);
    if (doubled) field.text = Unescape(field.text, rules_.quote);
    at++;
    if (at < bytes.size() && bytes[at] == '\r') at++;
    if (at < bytes.size() && bytes[at] != rules_.delimiter && bytes[at] != '\n') {
      problem = "there is text behind the closing quote of a field";
      return Outcome::kMalformed;
    }
    return Outcome::kRecord;
  }

  Outcome SkipLine(std::string_view bytes, bool complete, idx_t at, idx_t& position) {
    size_t end = bytes.find('\n', at);
    if (end == std::string_view::npos && !complete) return Outcome::kIncomplete;
    position = end == std::string_view::npos ? bytes.size() : end + 1;
    return Outcome::kMalformed;
  }

  /// Takes `mark` away before the character that it protects.
  std::string_view Unescape(std::string_view text, char mark) {
    std::string plain;
    for (size_t i = 0; i < text.size(); i++) {
      if (text[i] == mark && i + 1 < text.size()) i++;
      plain += text[i];
    }
    unescaped_.push_back(std::make_unique<std::string>(std::move(plain)));
    return *unescaped_.back();
  }

  const CsvRules& rules_;
  bool special_[256] = {};
  std::vector<std::unique_ptr<std::string>> unescaped_;  // Fields of this record that had escapes.
};

class CsvDecoder : public Decoder {
 public:
  CsvDecoder(RecordFormat record, const Options& options)
      : rules_(ReadCsvRules(options)), record_format_(std::move(record)), scanner_(rules_) {}

  idx_t Decode(std::string_view bytes, bool complete, ChangeChunk& chunk) override {
    idx_t count = chunk.size(), position = 0;
    while (position < bytes.size() && count < limit_) {
      idx_t start = position;
      if (rules_.comments && bytes[position] == '#') {
        size_t end = bytes.find('\n', position);
        if (end == std::string_view::npos && !complete) break;
        position = end == std::string_view::npos ? bytes.size() : end + 1;
        record_++;
        continue;
      }
      auto outcome = scanner_.Next(bytes, complete, position);
      if (outcome == CsvScanner::Outcome::kIncomplete) break;
      bool skip = IsEmptyLine() || (rules_.skip_first && record_ == 0);
      bool good = outcome == CsvScanner::Outcome::kRecord;
      if (!good) failure_ = {"", scanner_.problem};
      if (!skip || !good) {
        if (good && DecodeFields(chunk.rows, count)) {
          count++;
        } else if (rules_.ignore_errors) {
          skipped_++;
        } else {
          if (good && LooksLikeHeader()) {
            failure_.problem +=
                "; if this line names the columns, set 'csv.ignore-first-line' = 'true'";
          }
          ThrowBadRecord("CSV", origin_, record_, failure_, bytes.substr(start, position - start),
                         "csv.ignore-parse-errors");
        }
      }
      record_++;
    }
    if (!chunk.kinds.empty()) chunk.kinds.resize(count, RowKind::kInsert);
    chunk.rows.SetCardinality(count);
    return position;
  }

 private:
  bool IsEmptyLine() const {
    return scanner_.fields.size() == 1 && scanner_.fields[0].text.empty() &&
           !scanner_.fields[0].quoted && record_format_.fields.size() > 1;
  }

  /// The first line is read as a record, and is made of the columns' names.
  bool LooksLikeHeader() const {
    if (record_ != 0 || scanner_.fields.empty()) return false;
    std::string first(TrimBlanks(scanner_.fields[0].text));
    return duckdb::StringUtil::CIEquals(first, record_format_.fields[0].name);
  }

  bool DecodeFields(DataChunk& rows, idx_t row) {
    size_t expected = record_format_.fields.size(), found = scanner_.fields.size();
    if (found != expected) {
      failure_ = {"", fmt::format("it has {} field{}, the table has {} column{}", found,
                                  found == 1 ? "" : "s", expected, expected == 1 ? "" : "s")};
      return false;
    }
    for (size_t i = 0; i < record_format_.wanted.size(); i++) {
      const DataField& column = record_format_.fields[record_format_.wanted[i]];
      const Field& field = scanner_.fields[record_format_.wanted[i]];
      if (!DecodeField(column.type, rows.data[i], row, field)) {
        failure_ = {column.name, NotA(field.text, column.type)};
        return false;
      }
    }
    return true;
  }

  bool DecodeField(const DataType& type, Vector& vector, idx_t row, const Field& field) {
    bool text = type.root == TypeRoot::kVarChar || type.root == TypeRoot::kChar;
    if (!field.quoted && ((rules_.null_literal && field.text == *rules_.null_literal) ||
                          (!text && TrimBlanks(field.text).empty()))) {
      FlatVector::SetNull(vector, row, true);
      return true;
    }
    FlatVector::Validity(vector).SetValid(row);
    if (type.root == TypeRoot::kArray) return DecodeList(type, vector, row, field.text);
    return SetCellFromText(type, vector, row, field.text);
  }

  bool DecodeList(const DataType& type, Vector& vector, idx_t row, std::string_view text) {
    idx_t offset = ListVector::GetListSize(vector), count = 0;
    while (true) {
      size_t end = text.find(rules_.element_delimiter);
      ListVector::Reserve(vector, offset + count + 1);
      Field element{text.substr(0, end), false};
      if (!DecodeField(type.children[0], ListVector::GetEntry(vector), offset + count, element)) {
        return false;
      }
      count++;
      if (end == std::string_view::npos) break;
      text.remove_prefix(end + rules_.element_delimiter.size());
    }
    ListVector::SetListSize(vector, offset + count);
    ListVector::GetData(vector)[row] = {offset, count};
    return true;
  }

  CsvRules rules_;
  RecordFormat record_format_;
  CsvScanner scanner_;
  RecordFailure failure_;
};

}  // namespace

CsvRules ReadCsvRules(const Options& options) {
  CsvRules rules;
  rules.delimiter = OneCharacter(options, "csv.field-delimiter", ',');
  rules.quote = OneCharacter(options, "csv.quote-character", '"');
  rules.escape = OneCharacter(options, "csv.escape-character", '\0');
  if (ReadFlag(options, "csv.disable-quote-character")) {
    if (options.count("csv.quote-character")) {
      Throw(ErrorCode::kInvalid,
            "Options 'csv.quote-character' and 'csv.disable-quote-character' exclude each other");
    }
    rules.quote = '\0';
  }
  auto element = options.find("csv.array-element-delimiter");
  if (element != options.end()) rules.element_delimiter = element->second;
  if (rules.element_delimiter.empty()) {
    Throw(ErrorCode::kInvalid, "Option 'csv.array-element-delimiter' is empty");
  }
  auto null_literal = options.find("csv.null-literal");
  if (null_literal != options.end()) rules.null_literal = null_literal->second;
  for (const char* name : {"csv.ignore-parse-errors", "csv.allow-comments", "csv.ignore-first-line",
                           "csv.disable-quote-character"}) {
    auto found = options.find(name);
    if (found != options.end() && found->second != "true" && found->second != "false") {
      Throw(ErrorCode::kInvalid, "Option '{}' is '{}'; it can be 'true' or 'false'", name,
            found->second);
    }
  }
  rules.ignore_errors = ReadFlag(options, "csv.ignore-parse-errors");
  rules.comments = ReadFlag(options, "csv.allow-comments");
  rules.skip_first = ReadFlag(options, "csv.ignore-first-line");
  if (rules.delimiter == rules.quote || rules.delimiter == rules.escape) {
    Throw(ErrorCode::kInvalid,
          "Option 'csv.field-delimiter' is '{}', as is the quote or escape character",
          rules.delimiter);
  }
  return rules;
}

void CheckCsvType(const DataField& field) {
  const DataType* type = &field.type;
  if (type->root == TypeRoot::kArray) type = &type->children[0];
  if (type->root == TypeRoot::kArray || type->root == TypeRoot::kMap ||
      type->root == TypeRoot::kMultiset || type->root == TypeRoot::kRow) {
    Throw(ErrorCode::kUnsupported,
          "Column '{}' is {}, which a CSV field cannot carry: declare it STRING, or use 'format' = "
          "'json'",
          field.name, field.type.ToString());
  }
}

std::vector<FormatOption> CsvOptions() {
  return {
      {"csv.field-delimiter", "one character, default ','"},
      {"csv.quote-character", "one character, default '\"'"},
      {"csv.disable-quote-character", "'true': quotes are ordinary characters"},
      {"csv.escape-character", "one character, default none"},
      {"csv.null-literal", "the text that stands for NULL"},
      {"csv.ignore-parse-errors", "'true': skip and count records that do not parse"},
      {"csv.allow-comments", "'true': lines that start with # are passed over"},
      {"csv.array-element-delimiter", "between the elements of an ARRAY, default ';'"},
      {"csv.ignore-first-line", "'true': the first line of a file is a header; sinks write one"},
  };
}

std::unique_ptr<Decoder> MakeCsvDecoder(RecordFormat record, const Options& options) {
  return std::make_unique<CsvDecoder>(std::move(record), options);
}

}  // namespace millrace
