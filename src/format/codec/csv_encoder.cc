#include "base/error.h"
#include "format/codec/cell_text.h"
#include "format/codec/csv.h"
#include "format/codec/value_text.h"

namespace millrace {

namespace {

class CsvEncoder : public Encoder {
 public:
  CsvEncoder(std::vector<DataField> fields, const Options& options)
      : rules_(ReadCsvRules(options)), fields_(std::move(fields)) {}

  std::string Header() const override {
    if (!rules_.skip_first) return "";
    std::string line;
    for (size_t i = 0; i < fields_.size(); i++) {
      if (i > 0) line += rules_.delimiter;
      AppendField(fields_[i].name, false, line);
    }
    return line + "\n";
  }

  void Encode(ChangeChunk& chunk, std::string& out) override {
    CheckColumnTypes(chunk.rows, fields_);
    std::vector<ReadableColumn> columns(fields_.size());
    for (size_t i = 0; i < fields_.size(); i++) {
      Vector::RecursiveToUnifiedFormat(chunk.rows.data[i], chunk.size(), columns[i]);
    }
    for (idx_t row = 0; row < chunk.size(); row++) {
      for (size_t i = 0; i < fields_.size(); i++) {
        if (i > 0) out += rules_.delimiter;
        AppendCell(fields_[i].type, columns[i], row, out);
      }
      out += '\n';
    }
  }

 private:
  void AppendCell(const DataType& type, const ReadableColumn& cells, idx_t row, std::string& out) {
    idx_t index = cells.unified.sel->get_index(row);
    if (!cells.unified.validity.RowIsValid(index)) {
      out += rules_.null_literal.value_or("");
      return;
    }
    if (IsPlainInJson(type)) return AppendValue(cells, row, kCsvField, out);
    cell_.clear();
    if (type.root == TypeRoot::kArray) {
      auto entry = UnifiedVectorFormat::GetDataUnsafe<duckdb::list_entry_t>(cells.unified)[index];
      TextForm element = kCsvField;
      std::string null_literal = rules_.null_literal.value_or("");
      element.null_text = null_literal.c_str();
      for (idx_t i = 0; i < entry.length; i++) {
        if (i > 0) cell_ += rules_.element_delimiter;
        AppendValue(cells.children[0], entry.offset + i, element, cell_);
      }
      return AppendField(cell_, false, out);
    }
    AppendValue(cells, row, kCsvField, cell_);
    AppendField(cell_, rules_.null_literal && cell_ == *rules_.null_literal, out);
  }

  /// Quotes where the text needs it; without quotes it escapes, and without escapes it cannot be
  /// written.
  void AppendField(std::string_view text, bool must_quote, std::string& out) const {
    bool special = must_quote || (rules_.comments && !text.empty() && text[0] == '#');
    for (char c : text) {
      if (c == rules_.delimiter || c == '\n' || c == '\r' || (rules_.quote && c == rules_.quote) ||
          (rules_.escape && c == rules_.escape)) {
        special = true;
        break;
      }
    }
    if (!special) return void(out += text);
    if (!rules_.quote && !rules_.escape) {
      Throw(ErrorCode::kData,
            "Cannot write '{}' as a CSV field: it holds a delimiter or line end and quotes are "
            "disabled; "
            "set 'csv.escape-character', or leave 'csv.disable-quote-character' away",
            Shortened(text, 60));
    }
    if (rules_.quote) out += rules_.quote;
    for (char c : text) {
      if (rules_.escape && (c == rules_.escape ||
                            (!rules_.quote && (c == rules_.delimiter || c == '\n' || c == '\r')))) {
        out += rules_.escape;
      } else if (rules_.quote && c == rules_.quote) {
        out += rules_.quote;
      }
      out += c;
    }
    if (rules_.quote) out += rules_.quote;
  }

  CsvRules rules_;
  std::vector<DataField> fields_;
  std::string cell_;
};

}  // namespace

std::unique_ptr<Encoder> MakeCsvEncoder(std::vector<DataField> fields, const Options& options) {
  return std::make_unique<CsvEncoder>(std::move(fields), options);
}

}  // namespace millrace
