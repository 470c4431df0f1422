#include "format/codec/json.h"

namespace millrace {

namespace {

class JsonEncoder : public Encoder {
 public:
  JsonEncoder(std::vector<DataField> fields, const Options& options)
      : writer_(std::move(fields), ReadJsonRules(options, "json.").form) {}

  void Encode(ChangeChunk& chunk, std::string& out) override {
    writer_.Open(chunk.rows);
    for (idx_t row = 0; row < chunk.size(); row++) {
      writer_.Append(row, out);
      out += '\n';
    }
  }

 private:
  JsonRowWriter writer_;
};

}  // namespace

std::unique_ptr<Encoder> MakeJsonEncoder(std::vector<DataField> fields, const Options& options) {
  return std::make_unique<JsonEncoder>(std::move(fields), options);
}

JsonRowWriter::JsonRowWriter(std::vector<DataField> fields, const TextForm& form)
    : fields_(std::move(fields)), form_(form) {
  for (const DataField& field : fields_) {
    std::string key;
    AppendJsonString(field.name, key);
    keys_.push_back(key + ":");
  }
}

void JsonRowWriter::Open(DataChunk& rows) {
  CheckColumnTypes(rows, fields_);
  columns_.clear();
  columns_.resize(fields_.size());
  for (size_t i = 0; i < fields_.size(); i++) {
    Vector::RecursiveToUnifiedFormat(rows.data[i], rows.size(), columns_[i]);
  }
}

void JsonRowWriter::Append(idx_t row, std::string& out) const {
  out += '{';
  for (size_t i = 0; i < fields_.size(); i++) {
    if (i > 0) out += ',';
    out += keys_[i];
    AppendValue(columns_[i], row, form_, out);
  }
  out += '}';
}

}  // namespace millrace
