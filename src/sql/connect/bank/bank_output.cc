// bank_output.cc - fills chunks from staged columns.
#include "sql/connect/bank/bank_output.h"

#include <cstring>

#include "base/error.h"

namespace millrace {

using duckdb::FlatVector;

BankOutput::BankOutput(const SourceTable& table, idx_t index, bool debezium)
    : table_(BankTableOf(*table.definition)), index_(index) {
  auto mapping = MapBankColumns(*table.definition);
  const std::vector<DataField>& known = BankColumns(table_);
  duckdb::vector<LogicalType> types;
  RecordFormat record;
  for (idx_t index_in_definition : table.columns) {
    MILLRACE_CHECK(mapping[index_in_definition].has_value());
    idx_t staged = *mapping[index_in_definition];
    const DataField& field = known[staged];
    types.push_back(field.type.ToDuck());
    columns_.push_back({staged, duckdb::GetTypeIdSize(types.back().InternalType()),
                        field.type.nullable, types.back().id() == LogicalTypeId::VARCHAR});
    record.wanted.push_back(record.fields.size());
    record.fields.push_back(field);
  }
  chunk_.Initialize(types);
  if (!debezium) return;
  decoded_.Initialize(types);
  writer_ =
      std::make_unique<JsonRowWriter>(record.fields, ReadJsonRules({}, "debezium-json.").form);
  decoder_ = MakeDecoder("debezium-json", std::move(record), {});
  decoder_->SetOrigin("the bank's changes to " + table.definition->path.ToString(), 0);
}

void BankOutput::Send(const StagedRows& rows, const BankReceiver& receive) {
  chunk_.Reset();
  for (idx_t i = 0; i < columns_.size(); i++) {
    const Column& column = columns_[i];
    Vector& vector = chunk_.rows.data[i];
    const void* from = rows.columns[column.staged];
    if (column.is_text) {
      // Short texts lie in the string_t itself; AddString copies only longer ones.
      const auto* texts = static_cast<const string_t*>(from);
      auto* to = FlatVector::GetData<string_t>(vector);
      for (idx_t row = 0; row < rows.count; row++) {
        to[row] = texts[row].IsInlined() ? texts[row]
                                         : duckdb::StringVector::AddString(vector, texts[row]);
      }
      continue;
    }
    std::memcpy(FlatVector::GetData(vector), from, column.width * rows.count);
    if (!column.has_nulls) continue;
    const auto* values = static_cast<const int64_t*>(from);
    auto& validity = FlatVector::Validity(vector);
    for (idx_t row = 0; row < rows.count; row++) {
      if (values[row] == 0) validity.SetInvalid(row);
    }
  }
  if (!rows.kinds.empty()) {
    chunk_.kinds.assign(rows.kinds.begin(),
                        rows.kinds.begin() + static_cast<std::ptrdiff_t>(rows.count));
  }
  chunk_.rows.SetCardinality(rows.count);
  if (decoder_) {
    SendDecoded(receive);
  } else {
    receive(index_, chunk_);
  }
}

void BankOutput::SendDecoded(const BankReceiver& receive) {
  text_.clear();
  writer_->Open(chunk_.rows);
  for (idx_t row = 0; row < chunk_.size(); row++) {
    bool update = chunk_.KindOf(row) == RowKind::kUpdateBefore;
    text_ += "{\"before\":";
    if (update) {
      writer_->Append(row++, text_);
    } else {
      text_ += "null";
    }
    text_ += ",\"after\":";
    writer_->Append(row, text_);
    text_ += update ? ",\"op\":\"u\"}\n" : ",\"op\":\"c\"}\n";
  }
  size_t size = text_.size();
  text_.append(kDecodePadding, '\0');
  for (size_t position = 0; position < size;) {
    decoded_.Reset();
    position +=
        decoder_->Decode(std::string_view(text_).substr(position, size - position), true, decoded_);
    receive(index_, decoded_);
  }
}

}  // namespace millrace
