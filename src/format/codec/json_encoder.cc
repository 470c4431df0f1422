#include <cmath>

#include "base/error.h"
#include "format/codec/json.h"

namespace millrace {

namespace {

class JsonEncoder : public Encoder {
 public:
  JsonEncoder(std::vector<DataField> fields, const Options& options)
      : writer_(std::move(fields), ReadJsonRules(options, "json.").style) {}

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

bool IsFinite(const DataType& type, const UnifiedVectorFormat& cells, idx_t index) {
  if (type.root == TypeRoot::kDouble) {
    return std::isfinite(UnifiedVectorFormat::GetDataUnsafe<double>(cells)[index]);
  }
  if (type.root == TypeRoot::kFloat) {
    return std::isfinite(UnifiedVectorFormat::GetDataUnsafe<float>(cells)[index]);
  }
  return true;
}

}  // namespace

std::unique_ptr<Encoder> MakeJsonEncoder(std::vector<DataField> fields, const Options& options) {
  return std::make_unique<JsonEncoder>(std::move(fields), options);
}

void AppendJsonString(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t clean = 0;
  for (size_t i = 0; i < text.size(); i++) {
    auto c = static_cast<uint8_t>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(clean, i - clean));
    clean = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
    }
  }
  out.append(text.substr(clean));
  out += '"';
}

JsonRowWriter::JsonRowWriter(std::vector<DataField> fields, CellStyle style)
    : fields_(std::move(fields)), style_(style) {
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
    AppendValue(fields_[i].type, columns_[i], row, out);
  }
  out += '}';
}

void JsonRowWriter::AppendValue(const DataType& type,
                                const duckdb::RecursiveUnifiedVectorFormat& cells, idx_t row,
                                std::string& out) const {
  idx_t index = cells.unified.sel->get_index(row);
  if (!cells.unified.validity.RowIsValid(index)) return void(out += "null");
  switch (type.root) {
    case TypeRoot::kArray: {
      auto entry = UnifiedVectorFormat::GetDataUnsafe<duckdb::list_entry_t>(cells.unified)[index];
      out += '[';
      for (idx_t i = 0; i < entry.length; i++) {
        if (i > 0) out += ',';
        AppendValue(type.children[0], cells.children[0], entry.offset + i, out);
      }
      out += ']';
      return;
    }
    case TypeRoot::kMap:
    case TypeRoot::kMultiset: {
      static const DataType kCount;  // INT.
      const DataType& value_type = type.root == TypeRoot::kMap ? type.children[1] : kCount;
      auto entry = UnifiedVectorFormat::GetDataUnsafe<duckdb::list_entry_t>(cells.unified)[index];
      const auto& pairs = cells.children[0];
      out += '{';
      for (idx_t i = 0; i < entry.length; i++) {
        if (i > 0) out += ',';
        idx_t pair = pairs.unified.sel->get_index(entry.offset + i);
        std::string key;
        idx_t key_index = pairs.children[0].unified.sel->get_index(pair);
        AppendCell(type.children[0], pairs.children[0].unified, key_index, style_, key);
        AppendJsonString(key, out);
        out += ':';
        AppendValue(value_type, pairs.children[1], pair, out);
      }
      out += '}';
      return;
    }
    case TypeRoot::kRow:
      out += '{';
      for (size_t i = 0; i < type.fields.size(); i++) {
        if (i > 0) out += ',';
        AppendJsonString(type.fields[i].name, out);
        out += ':';
        AppendValue(type.fields[i].type, cells.children[i], index, out);
      }
      out += '}';
      return;
    case TypeRoot::kChar:
    case TypeRoot::kVarChar: {
      const string_t& text = UnifiedVectorFormat::GetDataUnsafe<string_t>(cells.unified)[index];
      return AppendJsonString({text.GetData(), text.GetSize()}, out);
    }
    default: {
      bool quoted = !IsPlainInJson(type) || !IsFinite(type, cells.unified, index);
      if (quoted) out += '"';
      AppendCell(type, cells.unified, index, style_, out);
      if (quoted) out += '"';
    }
  }
}

}  // namespace millrace
